"""One Idempotency-Key and requests that are slow, or die: never two effects.

Many at once are proven in tests/proofs/test_idempotency.py.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Connection, Engine, event, select, text

from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.models import Project
from bugtracker.runtime import Runtime
from tests.blocking import Blocker
from tests.repeating import (
    IN_USE,
    REUSED,
    age_claims,
    count_claims,
    count_issues,
    create_issue,
    is_replay,
    new_key,
)
from tests.world import Json, Org, made, refused

LEASE_SECONDS = 60

Request = Callable[[], httpx.Response]


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
