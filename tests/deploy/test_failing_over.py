"""Instances end under load, and nobody loses a request."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from bugtracker.settings import Settings
from tests.deploy.load import Send, load
from tests.deploy.proxy import Proxy, proxy
from tests.processes import free_port, served
from tests.world import Caller, World

Victims = dict[int, Popen[str]]

DRAIN_SECONDS = 3
KEPT_SECONDS = 1
"""Shorter than what is shipped; the first is the longer one, as there."""


def revealed(secret: SecretStr | None) -> str:
    assert secret is not None
    return secret.get_secret_value()


@pytest.fixture(scope="module")
def victims(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    """Two processes of ``bugtracker serve``, by port."""
    environment = {
        "DATABASE_URL": revealed(settings.database_url),
        "BUGTRACKER_SECRET_KEY": revealed(settings.secret_key),
        "BUGTRACKER_PUBLIC_URL": settings.public_url or "",
        "BUGTRACKER_TRUSTED_PROXIES": "127.0.0.1",
        "BUGTRACKER_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "BUGTRACKER_THREADS": "8",
        "BUGTRACKER_RATE_LIMIT_PER_IP": "1000000/minute",
        "BUGTRACKER_LOG_LEVEL": "WARNING",
    }
    ports = [free_port(), free_port()]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        log = stack.enter_context((tmp_path_factory.mktemp("victims") / "log").open("w"))
        made = [served({**environment, "BUGTRACKER_PORT": str(port)}, log) for port in ports]
        # Starting is most of the work, and they can do it at the same time.
        started = pool.map(ExitStack.enter_context, [stack] * len(made), made)
        yield dict(zip(ports, started, strict=True))


@pytest.fixture
def front(victims: Victims, instances: list[int], tmp_path: Path) -> Iterator[Proxy]:
    """nginx in front of the victims and of one that survives."""
    kept = ("upstream.conf", "keepalive_timeout 5s;", f"keepalive_timeout {KEPT_SECONDS}s;")
    with proxy(tmp_path, [*victims, instances[0]], [kept]) as running:
        yield running


@pytest.fixture
def owner(world: World) -> Caller:
    return world.create_org().owner


def reading(owner: Caller) -> dict[str, Send]:
    def read(client: httpx.Client) -> httpx.Response:
        return client.get("/api/projects?limit=1", headers=owner.authorization)

    return {"GET": read}


def writing(owner: Caller) -> dict[str, Send]:
    def write(client: httpx.Client) -> httpx.Response:
        body = {"name": f"Project {uuid4().hex}"}
        return client.post("/api/projects", json=body, headers=owner.authorization)

    return {"POST": write}


def projects(owner: Caller) -> int:
    return int(owner.get("/api/projects", params={"page": 1, "limit": 1}).json()["total"])


class TestTerminated:
    def test_nobody_loses_a_request(self, front: Proxy, victims: Victims, owner: Caller) -> None:
        """Neither one that may be repeated nor one that may not; each was done once."""
        victim = next(iter(victims.values()))
        with load(front, {**reading(owner), **writing(owner)}) as outcome:
            outcome.wait_for_more(40)
            victim.send_signal(signal.SIGTERM)
            while victim.poll() is None:
                outcome.wait_for_more(5)
            outcome.wait_for_more(20)
        assert victim.returncode == 0
        assert outcome.failures == []
        assert projects(owner) == outcome.answers["POST"]


class TestKilled:
    def test_nobody_who_reads_loses_a_request(
        self, front: Proxy, victims: Victims, owner: Caller
    ) -> None:
        victim = list(victims.values())[1]
        with load(front, reading(owner)) as outcome:
            outcome.wait_for_more(40)
            victim.send_signal(signal.SIGKILL)
            outcome.wait_for_more(80)
        assert victim.wait() == -signal.SIGKILL
        assert outcome.failures == []
