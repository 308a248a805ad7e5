"""Redis stops or freezes in the middle of everything: quick answers, no errors, no open door."""

import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bugtracker.contract import Contract
from bugtracker.settings import Settings
from tests.proofs.crowd import SERVERS, Crowd, crowd
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.test_passwords import change
from tests.redis_server import own_redis
from tests.registering import get_me, logout, tokens_of

LOGINS, REQUESTS = 20, 50
"""So many an hour, of one address."""
SENSITIVE = 20
"""So many an hour, of one caller."""
CLIENTS_OF_A_KIND = 4 if SIZE.full else 3
EACH = 60 if SIZE.full else 40
MOST_SECONDS = 1.0
"""Of an answer; the short form, on a machine that does much else, allows for what the slowest took
before anything broke."""

Request = Callable[[httpx.Client], httpx.Response]
Fault = Callable[[subprocess.Popen[bytes]], None]


def stop(redis: subprocess.Popen[bytes]) -> None:
    redis.kill()
    redis.wait(10)


def freeze(redis: subprocess.Popen[bytes]) -> None:
    redis.send_signal(signal.SIGSTOP)


@pytest.fixture(params=[stop, freeze], ids=["stopped", "frozen"])
def fault(request: pytest.FixtureRequest) -> Fault:
    chosen: Fault = request.param
    return chosen


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with own_redis(tmp_path) as running:
        yield running


@dataclass
class Traffic:
    """What clients of several kinds were answered, before and after something breaks."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    before: dict[str, Counter[int]] = field(default_factory=dict)
    slowest: float = 0.0
    allowed: float = MOST_SECONDS
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _broken: bool = False

    def run(self, crowded: Crowd, kinds: dict[str, Request], break_it: Callable[[], None]) -> None:
        """All clients send their requests; when a third is answered, something breaks."""
        jobs = [(n, kind) for n, kind in enumerate(list(kinds) * CLIENTS_OF_A_KIND)]
        with ThreadPoolExecutor(len(jobs)) as pool:
            done = [pool.submit(self._send, crowded, n, kind, kinds[kind]) for n, kind in jobs]
            while self._answered() < len(jobs) * EACH // 3:
                time.sleep(0.005)
            break_it()
            self._broken = True
            self.allowed += 0.0 if SIZE.full else MOST_SECONDS + self.slowest
            for each in done:
                each.result()

    def _send(self, crowded: Crowd, number: int, kind: str, request: Request) -> None:
        with closing(crowded.client(number)) as http:
            for _ in range(EACH):
                begun = time.monotonic()
                status = request(http).status_code
                self._note(kind, status, time.monotonic() - begun)

    def _note(self, kind: str, status: int, seconds: float) -> None:
        with self._lock:
            part = self.statuses if self._broken else self.before
            part.setdefault(kind, Counter())[status] += 1
            self.slowest = max(self.slowest, seconds)

    def _answered(self) -> int:
        with self._lock:
            return sum(counts.total() for counts in self.before.values())

    def all(self, kind: str) -> Counter[int]:
        """Statuses of a kind, before and after."""
        return self.before.get(kind, Counter()) + self.statuses.get(kind, Counter())


def test_logins_stay_limited_and_ended_sessions_ended(
    settings: Settings,
    contract: Contract,
    redis: tuple[int, subprocess.Popen[bytes]],
    fault: Fault,
    report: Report,
) -> None:
    """Each answer comes within a second and none is a 500; of one address no more logins pass than
    the limit, counted once in Redis and once in each server without it; a session that ended is
    never accepted, one that lives always."""
    port, process = redis
    url = SecretStr(f"redis://127.0.0.1:{port}/0")
    limited = settings.model_copy(
        update={"redis_url": url, "rate_limit_login": f"{LOGINS}/hour", "lockout_attempts": 10_000}
    )
    with crowd(limited, contract) as crowded:
        person = crowded.employee(crowded.world.create_org())
        live, ended = (tokens_of(person.login()) for _ in range(2))
        assert logout(person.http, ended["refresh_token"]).status_code == 204
        body = {"email": person.email, "password": "Wrong-Words-1"}
        traffic = Traffic()
        kinds: dict[str, Request] = {
            "guesses": lambda http: http.post("/api/auth/login", json=body),
            "live": lambda http: get_me(http, live["access_token"]),
            "ended": lambda http: get_me(http, ended["access_token"]),
        }
        traffic.run(crowded, kinds, lambda: fault(process))
    guesses = traffic.all("guesses")
    assert set(guesses) == {401, 429}
    assert traffic.before["guesses"][401] <= LOGINS
    assert guesses[401] <= LOGINS * (1 + SERVERS)
    assert set(traffic.all("live")) == {200}
    assert set(traffic.all("ended")) == {401}
    assert traffic.slowest < traffic.allowed
    report(
        guesses=guesses.total(),
        evaluated=guesses[401],
        accepted_of_ended=0,
        slowest_ms=round(traffic.slowest * 1000),
    )


def test_requests_of_an_address_stay_limited(
    settings: Settings,
    contract: Contract,
    redis: tuple[int, subprocess.Popen[bytes]],
    fault: Fault,
    report: Report,
) -> None:
    """Each answer comes within a second and none is a 500; of one address no more requests pass
    than the limit, counted once in Redis and once in each server without it."""
    port, process = redis
    update = {
        "redis_url": SecretStr(f"redis://127.0.0.1:{port}/0"),
        "rate_limit_per_ip": f"{REQUESTS}/hour",
    }
    with crowd(settings.model_copy(update=update), contract) as crowded:
        traffic = Traffic()
        kinds: dict[str, Request] = {"keys": lambda http: http.get("/.well-known/jwks.json")}
        for name in ("again", "more"):
            kinds[name] = kinds["keys"]
        traffic.run(crowded, kinds, lambda: fault(process))
    answers = sum((traffic.all(kind) for kind in kinds), Counter())
    assert set(answers) == {200, 429}
    assert answers[200] <= REQUESTS * (1 + SERVERS)
    assert traffic.slowest < traffic.allowed
    report(
        requests=answers.total(),
        passed=answers[200],
        slowest_ms=round(traffic.slowest * 1000),
    )


def test_sensitive_operations_of_a_caller_stay_limited(
    settings: Settings,
    contract: Contract,
    redis: tuple[int, subprocess.Popen[bytes]],
    fault: Fault,
    report: Report,
) -> None:
    """Each answer comes within a second and none is a 500; of one caller no more sensitive
    operations pass than the limit, counted once in Redis and once in each server without it."""
    port, process = redis
    update = {
        "redis_url": SecretStr(f"redis://127.0.0.1:{port}/0"),
        "rate_limit_sensitive": f"{SENSITIVE}/hour",
        "lockout_attempts": 10_000,
    }
    with crowd(settings.model_copy(update=update), contract) as crowded:
        person = crowded.employee(crowded.world.create_org())
        access = tokens_of(person.login())["access_token"]
        traffic = Traffic()
        kinds: dict[str, Request] = {
            "changes": lambda http: change(http, access, "Wrong-Words-1", "Spring-Tide-1"),
            "live": lambda http: get_me(http, access),
            "keys": lambda http: http.get("/.well-known/jwks.json"),
        }
        traffic.run(crowded, kinds, lambda: fault(process))
    changes = traffic.all("changes")
    assert set(changes) == {422, 429}
    assert changes[422] <= SENSITIVE * (1 + SERVERS)
    assert set(traffic.all("live")) == {200}
    assert set(traffic.all("keys")) == {200}
    assert traffic.slowest < traffic.allowed
    report(
        changes=changes.total(),
        evaluated=changes[422],
        slowest_ms=round(traffic.slowest * 1000),
    )
