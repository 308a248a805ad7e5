"""``bugtracker serve`` as a process of its own, as an operator starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import httpx

COMMAND = [sys.executable, "-m", "bugtracker"]
SECONDS_TO_START = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def served(
    environment: dict[str, str], stderr: int | IO[str] = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A server with these settings and none of the surroundings', until it is told to stop.

    ``BUGTRACKER_PORT`` must be among them.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BUGTRACKER_", "DATABASE_"))}
    process = subprocess.Popen(
        [*COMMAND, "serve"],
        env={**clean, "BUGTRACKER_BCRYPT_COST": "4", **environment},
        stdout=stderr if stderr != subprocess.PIPE else None,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_until_ready(process, environment["BUGTRACKER_PORT"])
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _wait_until_ready(process: subprocess.Popen[str], port: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", verify=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(process.communicate()[1])
