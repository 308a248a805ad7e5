"""A Redis of our own, for the form of our server that counts limits in it."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.servers import FIRST_PORT

PORT = FIRST_PORT + 19


@dataclass(frozen=True)
class Redis:
    """Where it listens, and its process."""

    url: str
    pid: int


@contextmanager
def redis_server() -> Iterator[Redis | None]:
    """Until the block is left; None where redis-server is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        print("bench: without redis-server; leaving out ours-redis", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        options = ["--bind", "127.0.0.1", "--port", str(PORT), "--save", "", "--dir", directory]
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            ends = time.monotonic() + 10
            while not _listens():
                if process.poll() is not None or time.monotonic() > ends:
                    raise SystemExit("bench: redis-server did not start")
                time.sleep(0.05)
            yield Redis(f"redis://127.0.0.1:{PORT}", process.pid)
        finally:
            process.terminate()
            process.wait(10)


def _listens() -> bool:
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
    except OSError:
        return False
    return True
