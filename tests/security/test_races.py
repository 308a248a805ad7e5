"""Fifty at once, where one may win."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, Member, Organisation, SigningKey
from bugtracker.runtime import Runtime
from bugtracker.security.keys import KeyStore
from bugtracker.settings import Settings
from tests.behind import employee, events_of
from tests.conformance import Conformance
from tests.registering import get_me, logout, newcomer, refresh, tokens_of
from tests.serving import serve
from tests.world import World

TIMES = 50
PROCESSES = 10


@pytest.fixture(scope="module")
def crowded(settings: Settings, contract: Contract) -> Iterator[World]:
    """A server that lets all its handler threads hash at once, and everybody try often."""
    busy = settings.model_copy(update={"hashing_threads": settings.threads, "lockout_attempts": 99})
    runtime = create_runtime(busy)
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    runtime.db.close()


def at_once(
    world: World, action: Callable[[httpx.Client, int], httpx.Response]
) -> list[httpx.Response]:
    """The answers to an action done in TIMES threads at the same moment, on open connections."""
    start = threading.Barrier(TIMES)

    def run(number: int) -> httpx.Response:
        with world.client() as http:
            http.get("/healthz")
            start.wait()
            return action(http, number)

    with ThreadPoolExecutor(TIMES) as pool:
        return list(pool.map(run, range(TIMES)))


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


class TestRefresh:
    def test_one_wins_and_the_family_ends(self, crowded: World) -> None:
        org = crowded.create_org()
        person = employee(crowded, org, crowded.client(), crowded.runtime.settings)
        token = tokens_of(person.login())["refresh_token"]
        responses = at_once(crowded, lambda http, _: refresh(http, token))
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        (won,) = (response.json() for response in responses if response.status_code == 200)
        assert get_me(person.http, won["access_token"]).status_code == 401
        assert refresh(person.http, won["refresh_token"]).status_code == 401
        assert len(events_of(crowded.runtime, org, "session.reuse_detected")) == 1

    def test_logging_out_meanwhile_ends_the_session_for_good(self, crowded: World) -> None:
        org = crowded.create_org()
        person = employee(crowded, org, crowded.client(), crowded.runtime.settings)
        token = tokens_of(person.login())["refresh_token"]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            return logout(http, token) if number == TIMES // 2 else refresh(http, token)

        responses = at_once(crowded, act)
        assert statuses(responses)[204] == 1
        for response in responses:
            if response.status_code == 200:
                assert get_me(person.http, response.json()["access_token"]).status_code == 401
        ends = ("session.reuse_detected", "session.ended")
        assert sum(len(events_of(crowded.runtime, org, action)) for action in ends) == 1


class TestVerifyEmail:
    def test_a_token_works_once(self, crowded: World, worker: WorkerThread) -> None:
        person = newcomer(crowded.client(), crowded.runtime.settings)
        token = person.registered(org_name="Founded once").token()
        responses = at_once(
            crowded, lambda http, _: http.post("/api/auth/verify-email", json={"token": token})
        )
        assert statuses(responses) == {200: 1, 422: TIMES - 1}
        with crowded.runtime.db.transaction(account_id=UUID(person.me()["id"])) as session:
            assert session.scalars(select(Member.role)).all() == ["owner"]
            assert session.scalars(select(Organisation.name)).all() == ["Founded once"]


class TestRegister:
    def test_one_account_comes_of_one_address(self, crowded: World, worker: WorkerThread) -> None:
        people = [newcomer(crowded.client(), crowded.runtime.settings) for _ in range(TIMES)]
        email = people[0].email

        def act(http: httpx.Client, number: int) -> httpx.Response:
            body = {"email": email, "username": people[number].username}
            return http.post("/api/auth/register", json={**body, "password": people[0].password})

        assert statuses(at_once(crowded, act)) == {202: TIMES}
        with crowded.runtime.db.transaction() as session:
            found = select(Account).where(func.lower(Account.email) == email)
            account = session.scalars(found).one()
        assert account.version == TIMES
        # Nobody but the last one holds a username.
        for person in people:
            taken = person.register(email=f"{uuid4().hex}@example.com").status_code == 409
            assert taken == (person.username == account.username)

    def test_one_address_gets_a_username(self, crowded: World) -> None:
        username = f"wanted-{uuid4().hex[:8]}"

        def act(http: httpx.Client, number: int) -> httpx.Response:
            shown = username.upper() if number % 2 else username
            body = {"email": f"{username}-{number}@example.com", "username": shown}
            return http.post("/api/auth/register", json={**body, "password": "Tide-Table-1843"})

        assert statuses(at_once(crowded, act)) == {202: 1, 409: TIMES - 1}


class TestLogin:
    def test_each_is_counted(self, crowded: World) -> None:
        org = crowded.create_org()
        person = employee(crowded, org, crowded.client(), crowded.runtime.settings)
        body = {"email": person.email, "password": person.password}
        responses = at_once(crowded, lambda http, _: http.post("/api/auth/login", json=body))
        assert statuses(responses) == {200: TIMES}
        assert person.me()["login_count"] == TIMES + 1
        assert len(events_of(crowded.runtime, org, "login.succeeded")) == TIMES + 1


class TestFirstStart:
    @pytest.fixture
    def first(self, cluster: Cluster, own_database: str, settings: Settings) -> Iterator[Runtime]:
        """A runtime on a database that nobody has used."""
        url = SecretStr(cluster.api_url(own_database))
        runtime = create_runtime(settings.model_copy(update={"database_url": url}))
        yield runtime
        runtime.db.close()

    def test_many_processes_make_one_signing_key(self, first: Runtime) -> None:
        stores = [KeyStore(first.db, first.keyring) for _ in range(PROCESSES)]
        start = threading.Barrier(PROCESSES)

        def first_key(store: KeyStore) -> str:
            start.wait()
            return store.signing().kid

        with ThreadPoolExecutor(PROCESSES) as pool:
            kids = set(pool.map(first_key, stores))
        with first.db.transaction() as session:
            assert session.scalars(select(SigningKey.kid)).all() == list(kids)

    def test_rotating_at_once_leaves_one_key_that_signs(self, first: Runtime) -> None:
        stores = [KeyStore(first.db, first.keyring) for _ in range(PROCESSES)]
        before = first.keys.signing()
        with ThreadPoolExecutor(PROCESSES) as pool:
            list(pool.map(KeyStore.rotate, stores))
        with first.db.transaction() as session:
            current = select(SigningKey.kid).where(SigningKey.retired_at.is_(None))
            (kid,) = session.scalars(current).all()
        assert kid != before.kid
