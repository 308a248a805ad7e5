"""The servers that are measured: how each is started, and its processes."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from bench.place import ISSUER, ROOT, Place
from bench.scene import TOKEN_SECONDS, Scene
from bench.workloads import Workload

BENCH_PYTHON = ROOT / ".tools" / "bench" / "bin" / "python"
OUR_PYTHON = ROOT / ".tools" / "bench-ours" / "bin" / "python"
FIRST_PORT = int(os.environ.get("BENCH_PORT", "8320"))
LIMITS = ("PER_IP", "API_KEY", "LOGIN", "SENSITIVE", "MAIL", "PARTNER")
READY_SECONDS = 60
FORMS = ("get", "list", "create", "day")
"""What other forms of our server are asked."""


@dataclass(frozen=True)
class Kind:
    """A server that can be measured."""

    name: str
    title: str
    application: str | None = None
    """Of a reference, for uvicorn; ours has none."""
    redis: bool = False
    embedded: bool = False
    """Started with no settings of a database: one process, the job worker inside."""

    def answers(self, workload: Workload) -> bool:
        """Whether it is measured with these requests. Of other forms of ours a few will do."""
        if self.redis or self.embedded:
            return workload.name in FORMS
        return workload.compared or self.ours

    @property
    def ours(self) -> bool:
        """Whether it is the product."""
        return self.application is None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("ours", "ours, limits in memory"),
        Kind("ours-redis", "ours, limits in Redis", redis=True),
        Kind("ours-embedded", "ours, `make run`", embedded=True),
        Kind("a", "Connexion, Flask, ORM", "bench.references.connexion_app:app"),
        Kind("c", "FastAPI, async ORM", "bench.references.fastapi_app:app"),
        Kind("d", "Starlette, asyncpg, SQL", "bench.references.starlette_app:app"),
    )
}


@dataclass(frozen=True)
class Running:
    """The processes of one server, each on a port of its own."""

    kind: Kind
    ports: list[int] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)


@contextmanager
def running(
    kinds: Sequence[Kind],
    processes: int,
    place: Place,
    scene: Scene,
    redis_url: str | None = None,
    first_port: int = FIRST_PORT,
) -> Iterator[list[Running]]:
    """All of them, ready, until the block is left."""
    with ExitStack() as stack:
        servers = []
        for index, kind in enumerate(kinds):
            server = Running(kind)
            for number in range(processes):
                port = first_port + index * 2 + number
                environment = _environment(kind, port, place, scene, redis_url)
                log = stack.enter_context(_log(place, kind, number))
                process = stack.enter_context(_process(kind, port, environment, log))
                server.ports.append(port)
                server.pids.append(process.pid)
            servers.append(server)
        yield servers


def _log(place: Place, kind: Kind, number: int) -> IO[bytes]:
    return (place.directory / f"{kind.name}-{number}.log").open("wb")


def _command(kind: Kind, port: int) -> list[str]:
    if kind.application is None:
        return [str(OUR_PYTHON), "-m", "bugtracker", "serve"]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    quiet = ["--no-access-log", "--log-level", "warning"]
    return [str(BENCH_PYTHON), "-m", "uvicorn", kind.application, *where, *quiet]


def _environment(
    kind: Kind, port: int, place: Place, scene: Scene, redis_url: str | None
) -> dict[str, str]:
    steering = ("BUGTRACKER_", "PG", "DATABASE_URL", "REDIS_URL")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(steering)}
    if not kind.ours:
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "BENCH_DATABASE_URL": place.plain_url,
            "BENCH_PUBLIC_KEY": json.dumps(scene.public_jwk),
            "BENCH_ISSUER": ISSUER,
        }
    # On, but out of reach: all requests come from one address.
    limits = {f"BUGTRACKER_RATE_LIMIT_{name}": "1000000000/minute" for name in LIMITS}
    database = {
        "DATABASE_URL": place.cluster.api_url(),
        "BUGTRACKER_OWNER_DATABASE_URL": place.cluster.owner_url(),
        "BUGTRACKER_SECRET_KEY": place.secret_key,
    }
    return {
        **kept,
        **limits,
        **({"REDIS_URL": redis_url} if kind.redis and redis_url else {}),
        **({} if kind.embedded else database),
        "BUGTRACKER_LOCAL_DIR": str(place.directory),
        "BUGTRACKER_PUBLIC_URL": ISSUER,
        "BUGTRACKER_ACCESS_TOKEN_SECONDS": str(TOKEN_SECONDS),
        "BUGTRACKER_PORT": str(port),
        "BUGTRACKER_LOG_LEVEL": "WARNING",
    }


@contextmanager
def _process(
    kind: Kind, port: int, environment: dict[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        _command(kind, port), cwd=ROOT, env=environment, stdout=log, stderr=log
    )
    try:
        _wait(kind, port, process, Path(str(log.name)))
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _wait(kind: Kind, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + READY_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > ends:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise SystemExit(f"bench: {kind.title} did not start:\n{tail}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    """Whether it listens; the path is one that no server has."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
    except httpx.TransportError:
        return False
    return True
