"""Requests' transactions: whose rows they see, how they end, and that none is left behind."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from bugtracker.db import Database
from bugtracker.embedded import Cluster
from bugtracker.models import Issue
from bugtracker.opening import Opened, Opening
from bugtracker.security.authentication import LIVE_API_KEY, LIVE_SESSION
from tests.openings import Admin, admin_of
from tests.parallel import at_once, standstill
from tests.world import Caller, Json, Org, World, refused

Call = Callable[[], httpx.Response]

# Makes what a request does fail late: while the handler works, or when all is done but COMMIT.
BREAKABLE = """
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX000'; END $$;
CREATE TRIGGER at_once BEFORE INSERT ON issues FOR EACH ROW
    WHEN (NEW.title = 'at once') EXECUTE FUNCTION broken();
CREATE CONSTRAINT TRIGGER in_the_end AFTER INSERT ON issues DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.title = 'in the end') EXECUTE FUNCTION broken();
"""


@pytest.fixture(scope="module")
def small(
    other_world: Callable[..., AbstractContextManager[World]], cluster: Cluster
) -> Iterator[World]:
    """A world with two threads, in which some issues cannot be written."""
    with other_world(threads=2) as world:
        admin_of(cluster, world.runtime).execute(BREAKABLE)
        yield world


@pytest.fixture
def admin(small: World, cluster: Cluster) -> Admin:
    return admin_of(cluster, small.runtime)


def pool_of(db: Database) -> QueuePool:
    assert isinstance(db.engine.pool, QueuePool)
    return db.engine.pool


def tenants(db: Database) -> set[str | None]:
    """Whose rows the pooled connections show, outside any request."""
    with ExitStack() as stack:
        found = set()
        for _ in range(pool_of(db).checkedin()):
            connection = stack.enter_context(db.engine.connect())
            for name in ("app.org_id", "app.account_id"):
                found.add(connection.scalar(select(func.current_setting(name, True))))
        return found


def failing(org: Org, project: Json) -> dict[int, list[Call]]:
    """Requests that fail in each layer, by their status."""
    issues = f"/api/projects/{project['id']}/issues"
    stranger = org.world.create_org().developer
    gone = org.caller("developer", "gone")
    org.world.remove(org, gone)
    nobody = org.world.client()
    unknown = {"Authorization": f"Bearer bt_abcdefgh_{'0' * 49}"}
    return {
        401: [
            lambda: nobody.get("/api/projects"),
            lambda: nobody.get("/api/projects", headers=unknown),
            lambda: gone.get("/api/projects"),
            lambda: gone.post(issues, {"title": "Mine"}),
        ],
        403: [lambda: org.member.post("/api/projects", {"name": "Mine"})],
        404: [
            lambda: stranger.get(f"/api/projects/{project['id']}"),
            lambda: stranger.post(issues, {"title": "Mine"}),
            lambda: org.admin.get("/api/nothing"),
        ],
        400: [
            lambda: org.developer.post(issues, {"title": 7}),
            lambda: org.developer.get("/api/issues?limit=many"),
        ],
        405: [lambda: org.admin.delete("/api/projects")],
        422: [lambda: org.developer.post(issues, {"title": "A", "assignee_id": str(uuid4())})],
        500: [
            lambda: org.developer.post(issues, {"title": "at once"}),
            lambda: org.developer.post(issues, {"title": "in the end"}),
            lambda: org.developer.post(
                issues, {"title": "in the end"}, headers={"Idempotency-Key": uuid4().hex}
            ),
        ],
    }


class TestText:
    def test_is_the_statement_with_its_values_written_into_it(self) -> None:
        opening = Opening("SELECT {id}, {none}")
        id_ = UUID("0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a")
        text = "SELECT '0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a'::uuid, NULL"
        assert opening.text({"id": id_, "none": None}) == text


class TestFailures:
    def test_leave_no_transaction_no_connection_and_no_row(
        self, small: World, admin: Admin
    ) -> None:
        org = small.create_org()
        project = org.manager.create_project()
        for status, calls in failing(org, project).items():
            for call in calls:
                answers = at_once([call] * 10)
                assert {answer.status_code for answer in answers} == {status}
        assert pool_of(small.runtime.db).checkedout() == 0
        assert admin.count_open() == 0
        assert org.admin.get("/api/issues").json()["items"] == []

    def test_leave_no_tenant_on_any_connection_nor_does_success(self, small: World) -> None:
        org = small.create_org()
        project = org.manager.create_project()
        org.developer.create_issue(project)
        calls = [call for calls in failing(org, project).values() for call in calls]
        calls += [lambda: org.admin.http.head("/api/issues"), lambda: org.admin.get("/api/issues")]
        calls.append(
            lambda: org.developer.post(f"/api/projects/{project['id']}/issues", {"title": "A"})
        )
        for call in calls:
            call()
            assert tenants(small.runtime.db) <= {None, ""}


class TestTenants:
    def test_see_their_own_whoever_had_the_connection_before(self, small: World) -> None:
        orgs = small.create_org(), small.create_org()
        mine = {}
        for org in orgs:
            issue = org.developer.create_issue(org.manager.create_project())
            made = org.admin.create_api_key("issues.read", "issues.update")
            mine[org.id] = issue, small.with_key(made)
        for here, there in (orgs, orgs[::-1]) * 2:
            issue, key = mine[here.id]
            other, _ = mine[there.id]
            for client in (here.developer.http, key):
                listed = client.get("/api/issues").json()["items"]
                assert [found["id"] for found in listed] == [issue["id"]]
                assert client.get(f"/api/issues/{issue['id']}").status_code == 200
                assert client.get(f"/api/issues/{other['id']}").status_code == 404
                changed = client.patch(f"/api/issues/{other['id']}", json={"title": "Mine"})
                assert changed.status_code == 404

    def test_end_on_the_very_next_request(self, small: World) -> None:
        def log_out(org: Org, caller: Caller) -> None:
            assert caller.post("/api/auth/logout-all").status_code == 204

        ways: list[tuple[Callable[[Org, Caller], None], int, str]] = [
            (log_out, 401, "token_invalid"),
            (lambda org, caller: small.deactivate(caller), 401, "token_invalid"),
            (small.remove, 401, "token_invalid"),
            (lambda org, c: small.set_role(org, c, "member"), 403, "permission_denied"),
        ]
        org = small.create_org()
        for number, (end, status, code) in enumerate(ways):
            caller = org.caller("admin", str(number))
            key = small.with_key(caller.create_api_key("projects.create"))
            for client in (caller.http, key):
                made = client.post("/api/projects", json={"name": uuid4().hex})
                assert made.status_code == 201
            end(org, caller)
            refused(caller.post("/api/projects", {"name": uuid4().hex}), status, code)
            by_key = key.post("/api/projects", json={"name": uuid4().hex})
            # A key outlives the sessions of whoever made it.
            assert by_key.status_code == (201 if end is log_out else status)


class TestLostConnections:
    def test_between_requests_cost_one_refusal_at_most(self, small: World, admin: Admin) -> None:
        org = small.create_org()
        key = small.with_key(org.admin.create_api_key("projects.read"))
        for client in (org.admin.http, key):
            assert client.get("/api/projects").status_code == 200
            admin.terminate_all()
            first = client.get("/api/projects")
            # Whoever else asks the database first notices that all connections are gone.
            if first.status_code != 200:
                refused(first, 503, "service_unavailable")
            assert client.get("/api/projects").status_code == 200
        assert pool_of(small.runtime.db).checkedout() == 0

    def test_within_a_request_undo_it(self, small: World, cluster: Cluster, admin: Admin) -> None:
        org = small.create_org()
        project = org.manager.create_project()
        database = small.runtime.db.engine.url.database
        assert database is not None
        with standstill(cluster.admin_url(database)) as still:
            still.execute("SELECT FROM projects WHERE id = :id FOR UPDATE", id=project["id"])
            path = f"/api/projects/{project['id']}"
            lost = still.send(lambda: org.manager.patch(path, {"name": "Another"}))
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            refused(lost.result(20), 503, "service_unavailable")
        assert org.manager.get(path).json()["name"] == project["name"]
        assert pool_of(small.runtime.db).checkedout() == 0
        assert admin.count_open() == 0


class TestOpened:
    def test_gives_back_a_connection_that_others_can_use(self, one: Database, org: Org) -> None:
        caller = org.developer
        for _ in range(3):
            opened = Opened(one)
            row = opened.begin(LIVE_SESSION, session_id=caller.session_id, org_id=org.id)
            assert row is not None
            assert row[0] == str(caller.id)
            here = "SELECT current_setting('app.org_id'), current_setting('app.account_id')"
            tenant = opened.connection.exec_driver_sql(here).one()
            assert tenant == (str(org.id), str(caller.id))
            opened.close()
            opened.close()
            assert pool_of(one).checkedout() == 0
        with one.transaction(org_id=org.id) as session:
            assert session.scalar(text("SELECT count(*) = 0 FROM issues"))

    def test_undoes_at_its_end_what_nobody_committed(self, one: Database, org: Org) -> None:
        issue = org.developer.create_issue(org.manager.create_project())
        opened = Opened(one)
        opened.begin(LIVE_SESSION, session_id=org.developer.session_id, org_id=org.id)
        change = update(Issue).where(Issue.org_id == org.id).values(title="Never")
        assert opened.connection.execute(change).rowcount == 1
        opened.close()
        assert org.member.get(f"/api/issues/{issue['id']}").json()["title"] == issue["title"]

    def test_that_finds_nobody_sees_nothing(self, one: Database, org: Org) -> None:
        opened = Opened(one)
        assert opened.begin(LIVE_API_KEY, key_hash=b"'; COMMIT; --") is None
        assert opened.connection.scalar(select(func.count()).select_from(Issue)) == 0
        opened.close()

    def test_is_closed_after_a_statement_that_failed(self, one: Database, org: Org) -> None:
        for sql, state in (("SELECT 1/0", "22012"), ("SELEC", "42601"), ("COMMIT", "")):
            opened = Opened(one)
            with pytest.raises(OperationalError) as refusal:
                opened.begin(Opening(sql))
            assert (getattr(refusal.value.orig, "sqlstate", None) or "") == state
            opened.close()
        with one.transaction() as session:
            assert session.scalar(text("SELECT 1")) == 1

    def test_whose_connection_is_lost_ends_quietly(
        self, one: Database, org: Org, cluster: Cluster, database: str
    ) -> None:
        def terminate(opened: Opened) -> None:
            pid = opened.connection.scalar(text("SELECT pg_backend_pid()"))
            Admin(cluster, database).execute(f"SELECT pg_terminate_backend({pid}, 5000)")

        opened = Opened(one)
        opened.begin(LIVE_SESSION, session_id=org.developer.session_id, org_id=org.id)
        terminate(opened)
        opened.close()
        assert pool_of(one).checkedout() == 0
        opened = Opened(one)
        opened.begin(LIVE_SESSION, session_id=org.developer.session_id, org_id=org.id)
        terminate(opened)
        with pytest.raises(DBAPIError) as failure:
            opened.connection.execute(text("SELECT 1"))
        assert failure.value.connection_invalidated
        opened.close()
        with one.transaction() as session:
            assert session.scalar(text("SELECT 1")) == 1

    def test_waits_for_a_connection_only_so_long(self, one: Database, org: Org) -> None:
        here = {"session_id": org.developer.session_id, "org_id": org.id}
        first, second = Opened(one), Opened(one)
        first.begin(LIVE_SESSION, **here)
        with pytest.raises(PoolTimeout):
            second.begin(LIVE_SESSION, **here)
        second.close()
        first.close()
        assert second.begin(LIVE_SESSION, **here) is not None
        second.close()

    def test_of_nothing_is_nothing_to_close(self, one: Database) -> None:
        opened = Opened(one)
        with pytest.raises(RuntimeError, match="nothing was begun"):
            _ = opened.connection
        opened.close()
