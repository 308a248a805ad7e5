"""The load generator: wrk, with its connections shared out evenly over the ports."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Load:
    """What the clients saw; times in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class Requests:
    """What is sent (a file, separated by NUL), and over how many connections."""

    file: Path
    connections: int


def require_wrk() -> None:
    """SystemExit with what to do where there is no wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing (Debian: apt-get install wrk)")


def run(
    ports: Sequence[int], requests: Requests, seconds: float, turn: int, tokens: Path | None = None
) -> Load:
    """Sends requests, over and over; ``turn`` is another one in each run."""
    given = {
        "BENCH_PORTS": ",".join(str(port) for port in ports),
        "BENCH_REQUESTS": str(requests.file),
        "BENCH_TURN": str(turn % 200),
        **({} if tokens is None else {"BENCH_TOKENS": str(tokens)}),
    }
    command = [
        "wrk", f"-t{len(ports)}", f"-c{requests.connections}", f"-d{seconds:g}s",
        "--timeout", "30s", "-s", str(SCRIPT), f"http://127.0.0.1:{ports[0]}",
    ]  # fmt: skip
    ran = subprocess.run(
        command, env={**os.environ, **given}, check=True, stdout=subprocess.PIPE, text=True
    )
    return Load(**json.loads(ran.stdout.splitlines()[-1]))
