"""One Idempotency-Key and many requests, slow ones, and ones that die: never two effects."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Connection, Engine, event, func, select, text

from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.models import Account, Event, Project
from bugtracker.models import Session as Login
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import employee, events_of
from tests.blocking import Blocker
from tests.parallel import at_once
from tests.registering import newcomer
from tests.repeating import (
    IN_USE,
    REUSED,
    age_claims,
    count_claims,
    count_issues,
    create_issue,
    is_replay,
    login,
    new_key,
)
from tests.world import PASSWORD, Json, Org, World, made, refused

TIMES = 100
LEASE_SECONDS = 60

Request = Callable[[], httpx.Response]


def one_success(responses: list[httpx.Response], status: int) -> None:
    """One request did it; the others got its answer or were told to wait."""
    won = [response for response in responses if response.status_code == status]
    assert Counter(is_replay(response) for response in won)[False] == 1
    assert len({response.content for response in won}) == 1
    lost = [response for response in responses if response.status_code != status]
    for response in lost:
        refused(response, 409, IN_USE)
    print(f"{len(responses)} requests: 1 done, {len(won) - 1} replayed, {len(lost)} in flight")


class TestManyAtOnce:
    def test_make_one_issue(self, org: Org, project: Json) -> None:
        key, caller = new_key(), org.member

        def request() -> httpx.Response:
            return create_issue(caller, project, key)

        one_success(at_once([request] * TIMES), 201)
        assert count_issues(org.member, project) == 1
        assert is_replay(request())

    def test_make_one_project(self, runtime: Runtime, org: Org) -> None:
        key, caller, body = new_key(), org.manager, {"name": "Once"}

        def request() -> httpx.Response:
            return caller.post("/api/projects", body, headers=key)

        one_success(at_once([request] * TIMES), 201)
        with runtime.db.transaction(org_id=org.id) as session:
            assert session.scalars(select(Project.name)).all() == ["Once"]

    def test_make_one_comment(self, org: Org, project: Json) -> None:
        key, caller = new_key(), org.member
        issue = caller.create_issue(project)
        path = f"/api/issues/{issue['id']}/comments"
        body = {"content": "Once."}

        def request() -> httpx.Response:
            return caller.post(path, body, headers=key)

        one_success(at_once([request] * TIMES), 201)
        assert org.member.get(path, params={"page": 1}).json()["total"] == 1

    def test_start_one_session(
        self, world: World, runtime: Runtime, org: Org, settings: Settings
    ) -> None:
        key, person = new_key(), employee(world, org, world.client(), settings)
        one_success(at_once([lambda: login(person, key)] * TIMES), 200)
        with runtime.db.transaction() as session:
            account = session.scalars(select(Account).where(Account.email == person.email)).one()
            sessions = select(func.count()).where(Login.account_id == account.id)
            assert (account.login_count, session.scalar(sessions)) == (1, 1)
        assert len(events_of(runtime, org, "login.succeeded")) == 1

    def test_prepare_one_account(self, world: World, runtime: Runtime, settings: Settings) -> None:
        person, key = newcomer(world.client(), settings), new_key()
        body = {"email": person.email, "username": person.username, "password": PASSWORD}

        def request() -> httpx.Response:
            return person.http.post("/api/auth/register", json=body, headers=key)

        one_success(at_once([request] * TIMES), 202)
        with runtime.db.transaction() as session:
            account_id = session.scalars(select(Account.id).filter_by(email=person.email)).one()
        with runtime.db.transaction(account_id=account_id) as session:
            registered = select(func.count()).where(Event.action == "user.registered")
            assert session.scalar(registered) == 1

    def test_with_two_bodies_do_what_one_of_them_says(self, org: Org, project: Json) -> None:
        key, caller = new_key(), org.member

        def request(title: str) -> Request:
            return lambda: create_issue(caller, project, key, title=title)

        responses = at_once([request(("Ebb", "Flood")[n % 2]) for n in range(TIMES)])
        titles = {r.json()["title"] for r in responses if r.status_code == 201}
        assert (len(titles), count_issues(org.member, project)) == (1, 1)
        codes = Counter(r.json()["code"] for r in responses if r.status_code != 201)
        assert codes.keys() <= {IN_USE, REUSED}
        assert codes[REUSED] == TIMES // 2


@contextmanager
def held(runtime: Runtime, org: Org, project: Json) -> Iterator[Blocker]:
    """Whoever wants to report an issue waits until the block is left."""
    with Blocker(runtime) as blocker:
        tenant = "SELECT set_config('app.org_id', :org_id, true)"
        blocker.session.execute(text(tenant), {"org_id": str(org.id)})
        locked = select(Project.id).where(Project.id == project["id"]).with_for_update()
        assert blocker.session.scalars(locked).all()
        yield blocker


@pytest.fixture
def admin(cluster: Cluster, database: str) -> Iterator[Engine]:
    engine = owner_engine(cluster.admin_url(database))
    yield engine.execution_options(isolation_level="AUTOCOMMIT")
    engine.dispose()


class TestInFlight:
    def test_is_told_at_once(self, runtime: Runtime, org: Org, project: Json) -> None:
        key = new_key()
        with held(runtime, org, project) as blocker:
            first = blocker.start(lambda: create_issue(org.member, project, key))
            second = create_issue(org.member, project, key)
            refused(second, 409, IN_USE)
            assert second.headers["retry-after"] == "1"
            refused(create_issue(org.member, project, key, title="Other"), 422, REUSED)
            assert not first.done()
        assert create_issue(org.member, project, key).json() == made(first.result())

    def test_is_taken_over_when_the_lease_has_ended(
        self, runtime: Runtime, org: Org, project: Json
    ) -> None:
        key = new_key()
        with held(runtime, org, project) as blocker:
            slow = blocker.start(lambda: create_issue(org.member, project, key))
            age_claims(runtime, LEASE_SECONDS - 10)
            refused(create_issue(org.member, project, key), 409, IN_USE)
            age_claims(runtime, 11)
            fast = takeover(blocker, runtime, lambda: create_issue(org.member, project, key))
        refused(slow.result(), 409, IN_USE)
        assert not is_replay(fast.result())
        assert made(create_issue(org.member, project, key)) == made(fast.result())
        assert count_issues(org.member, project) == 1


def takeover(blocker: Blocker, runtime: Runtime, request: Request) -> Future[httpx.Response]:
    """Starts a second request; returns when no claim is older than its lease."""
    future = blocker.start(request)
    lapsed = text(
        "SELECT count(*) FROM idempotency_keys WHERE response_encrypted IS NULL"
        " AND claimed_at < now() - interval '60 seconds'"
    )
    with runtime.db.read() as connection:
        for _ in range(500):
            if connection.execute(lapsed).scalar_one() == 0:
                return future
            threading.Event().wait(0.01)
    raise AssertionError("nobody took the claim over")


class TestConnectionLost:
    def test_between_claim_and_commit_leaves_nothing_and_frees_the_key(
        self, runtime: Runtime, admin: Engine, org: Org, project: Json
    ) -> None:
        key = new_key()
        with held(runtime, org, project) as blocker:
            lost = blocker.start(lambda: create_issue(org.member, project, key))
            with admin.connect() as connection:
                terminate = text("SELECT pg_terminate_backend(:pid)")
                assert connection.execute(terminate, {"pid": blocker.waiting_pid()}).scalar_one()
            refused(lost.result(), 503, "service_unavailable")
            assert count_claims(runtime) == 0
        again = create_issue(org.member, project, key)
        assert (made(again)["number"], is_replay(again)) == (1, False)

    def test_after_commit_but_before_its_answer_keeps_the_response(
        self, runtime: Runtime, org: Org, project: Json
    ) -> None:
        key = new_key()
        with lost_after_commit(runtime.db.engine):
            refused(create_issue(org.member, project, key), 503, "service_unavailable")
        again = create_issue(org.member, project, key)
        assert (made(again)["number"], is_replay(again)) == (1, True)
        assert count_issues(org.member, project) == 1


@contextmanager
def lost_after_commit(engine: Engine) -> Iterator[None]:
    """Lets the next handler's COMMIT happen, and its connection die before that is known."""
    done = threading.Event()

    def commit_and_die(connection: Connection) -> None:
        is_handler = threading.current_thread().name.startswith("handler")
        driver = connection.connection.driver_connection
        if (
            is_handler
            and driver is not None
            and driver.info.transaction_status
            and not done.is_set()
        ):
            done.set()
            driver.commit()
            driver.close()

    event.listen(engine, "commit", commit_and_die)
    try:
        yield
    finally:
        event.remove(engine, "commit", commit_and_die)
    assert done.is_set(), "nobody committed"
