"""Nobody learns from the time of an answer who has an account.

That the same work is done is tested in tests/security/test_enumeration.py; here the clock is asked.
Only the full form judges what it measured: a busy machine proves nothing.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from bugtracker.app import create_app, create_runtime
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.models import LoginAttempts
from bugtracker.settings import Settings
from tests.behind import change_account
from tests.conformance import Conformance
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.registering import Newcomer, newcomer
from tests.serving import serve
from tests.world import World

MOST_MS = 5.0
WARM_UP = 5

Send = Callable[[Newcomer], httpx.Response]
Make = Callable[[], Newcomer]
Medians = dict[str, float]
"""Milliseconds of each kind of person."""


@pytest.fixture(autouse=True)
def proof_round() -> int:
    """Once: many pairs are measured in it."""
    return 1


class Place:
    """A server that hashes at a real cost, without a worker, and people of every kind."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._org = world.create_org()
        self._http = world.client()
        self.clock = httpx.Client(base_url=world.url, timeout=30)

    def unknown(self) -> Newcomer:
        return newcomer(self._http, self._world.runtime.settings)

    def known(self) -> Newcomer:
        """Somebody with a verified account."""
        account_id, username = self._world.create_account()
        self._world.join(account_id, self._org.id, "developer")
        names = {"email": f"{username}@example.com", "username": username}
        return newcomer(self._http, self._world.runtime.settings, **names)

    def mistaken(self) -> Newcomer:
        """Somebody who has forgotten the password. All others bring the right one."""
        person = self.known()
        person.password = "Wrong-Words-1"
        return person

    def unverified(self) -> Newcomer:
        return self._changed(verified_at=None)

    def disabled(self) -> Newcomer:
        return self._changed(is_active=False)

    def locked(self) -> Newcomer:
        """Somebody at whose account too many wrong passwords were tried."""
        account_id, username = self._world.create_account()
        runtime = self._world.runtime
        until = utc_now() + timedelta(hours=1)
        row = LoginAttempts(
            key=runtime.keyring.attempts_key(f"account:{account_id}"),
            attempts=20,
            window_ends_at=until,
            locked_until=until,
        )
        with runtime.db.transaction() as session:
            session.add(row)
        names = {"email": f"{username}@example.com", "username": username}
        return newcomer(self._http, runtime.settings, **names)

    def _changed(self, **values: object) -> Newcomer:
        person = self.known()
        change_account(self._world.runtime, person, **values)
        return person


@pytest.fixture
def place(
    cluster: Cluster, own_database: str, settings: Settings, contract: Contract
) -> Iterator[Place]:
    update = {
        "database_url": SecretStr(cluster.api_url(own_database)),
        "bcrypt_cost": SIZE.bcrypt_cost,
    }
    runtime = create_runtime(settings.model_copy(update=update))
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        place = Place(world)
        yield place
        place.clock.close()
        world.close()
    runtime.db.close()


def measure(kinds: dict[str, Make], send: Send, status: int) -> Medians:
    """The medians of as many answers of each kind, taken in turn and beginning with another kind
    each time, each person asked about once."""
    people = {name: [make() for _ in range(SIZE.pairs + WARM_UP)] for name, make in kinds.items()}
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    names = list(kinds)
    for number in range(SIZE.pairs + WARM_UP):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            begun = time.perf_counter()
            answer = send(people[name][number])
            taken[name].append((time.perf_counter() - begun) * 1000)
            assert answer.status_code == status
    return {name: statistics.median(times[WARM_UP:]) for name, times in taken.items()}


def spread(medians: Medians) -> float:
    return max(medians.values()) - min(medians.values())


def compare(kinds: dict[str, Make], send: Send, status: int, report: Report) -> None:
    """Measures, once more if the machine was noisy, and judges in the full form."""
    medians, measured = measure(kinds, send, status), 1
    if SIZE.full and spread(medians) >= MOST_MS:
        medians, measured = measure(kinds, send, status), 2
    apart = spread(medians)
    shown = {f"{name}_ms": round(value, 1) for name, value in medians.items()}
    report(pairs=SIZE.pairs, **shown, apart_ms=round(apart, 2), measured=measured)
    assert apart < MOST_MS or not SIZE.full


def test_login(place: Place, report: Report) -> None:
    """A refused login takes as long, within 5 ms at the median, for an unknown address as for a
    wrong password and for a locked, an unverified and a disabled account."""
    kinds = {
        "unknown": place.unknown,
        "wrong": place.mistaken,
        "locked": place.locked,
        "unverified": place.unverified,
        "disabled": place.disabled,
    }

    def send(person: Newcomer) -> httpx.Response:
        body = {"email": person.email, "password": person.password}
        return place.clock.post("/api/auth/login", json=body)

    compare(kinds, send, 401, report)


def test_register(place: Place, report: Report) -> None:
    """Registering takes as long, within 5 ms at the median, for a known address as for an unknown
    and an unverified one."""
    kinds = {"unknown": place.unknown, "known": place.known, "unverified": place.unverified}

    def send(person: Newcomer) -> httpx.Response:
        username = f"again-{person.email.partition('@')[0][-12:]}"
        body = {"email": person.email, "username": username, "password": person.password}
        return place.clock.post("/api/auth/register", json=body)

    compare(kinds, send, 202, report)


@pytest.mark.parametrize(
    "path",
    ["password/forgot", "verify-email/resend", "magic-link"],
    ids=["reset", "verification", "magic-link"],
)
def test_asking_for_a_mail(place: Place, path: str, report: Report) -> None:
    """Asking for a mail takes as long, within 5 ms at the median, for a known address as for an
    unknown, an unverified and a disabled one."""
    kinds = {
        "unknown": place.unknown,
        "known": place.known,
        "unverified": place.unverified,
        "disabled": place.disabled,
    }
    compare(
        kinds,
        lambda person: place.clock.post(f"/api/auth/{path}", json={"email": person.email}),
        202,
        report,
    )
