"""Items are read by the message that asks who the caller is: whose they are stays as it was."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from bugtracker.contract import Contract
from bugtracker.db import Database
from bugtracker.embedded import Cluster
from bugtracker.foresight import Foreseen, prepared
from bugtracker.models import Issue
from bugtracker.opening import Opened, Opening
from bugtracker.queries import issues
from bugtracker.queries.foreseen import FORESEEN
from bugtracker.runtime import Runtime
from bugtracker.security.authentication import LIVE_SESSION
from tests.openings import admin_of, opened_context
from tests.recorder import recorded
from tests.world import Caller, Json, Org, World, refused

PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'foreseen%'")


@pytest.fixture
def issue(org: Org) -> Json:
    project = org.manager.create_project()
    return org.developer.create_issue(project, priority="critical", due_date="2031-02-03")


def foreseen_issue(ref: str) -> Foreseen:
    found = FORESEEN["get_issue"](ref)
    assert found is not None
    return found


def begun(db: Database, caller: Caller, org_id: UUID, foreseen: Foreseen) -> Opened:
    opened = Opened(db, foreseen)
    opened.begin(LIVE_SESSION, session_id=caller.session_id, org_id=org_id)
    opened.org_id = org_id
    return opened


def titles(opened: Opened, foreseen: Foreseen, org_id: UUID) -> list[str] | None:
    rows = opened.take(foreseen.statement, {**foreseen.values, "org_id": org_id})
    return None if rows is None else [row.title for row in rows]


class TestItems:
    def test_are_as_lists_and_longer_ways_show_them(self, org: Org, issue: Json) -> None:
        comment = org.member.create_comment(issue)
        project = org.manager.get(f"/api/projects/{issue['project_id']}").json()
        listed = org.member.get("/api/projects").json()["items"]
        assert [found for found in listed if found["id"] == project["id"]] == [project]
        assert org.member.get(f"/api/projects/{project['key'].lower()}").json() == project
        assert org.member.get("/api/issues").json()["items"] == [issue]
        for ref in (issue["id"], issue["key"], issue["key"].lower()):
            short = org.member.get(f"/api/issues/{ref}")
            long = org.member.get(f"/api/issues/{ref}?fields=title")
            assert short.json() == issue
            assert long.json() == {"id": issue["id"], "title": issue["title"]}
        assert org.member.get(f"/api/comments/{comment['id']}").json() == comment

    def test_need_no_statement_more(self, runtime: Runtime, org: Org, issue: Json) -> None:
        with recorded(runtime.db.engine) as statements:
            assert org.member.get(f"/api/issues/{issue['id']}").status_code == 200
        assert statements == []

    def test_of_others_are_missing(self, org: Org, issue: Json) -> None:
        stranger = org.world.create_org().admin
        key = org.world.with_key(stranger.create_api_key("issues.read"))
        for ref in (issue["id"], issue["key"]):
            refused(stranger.get(f"/api/issues/{ref}"), 404, "resource_not_found")
            refused(key.get(f"/api/issues/{ref}"), 404, "resource_not_found")
        path = f"/api/projects/{issue['project_id']}"
        refused(stranger.get(path), 404, "resource_not_found")

    def test_are_those_of_the_keys_organisation(self, org: Org, issue: Json) -> None:
        key = org.world.with_key(org.admin.create_api_key("issues.read"))
        assert key.get(f"/api/issues/{issue['id']}").json() == issue
        refused(key.get(f"/api/projects/{issue['project_id']}"), 403, "permission_denied")

    def test_are_refused_once_the_caller_is_gone(self, org: Org, issue: Json) -> None:
        gone = org.caller("developer", "gone")
        path = f"/api/issues/{issue['id']}"
        assert gone.get(path).status_code == 200
        org.world.remove(org, gone)
        refused(gone.get(path), 401, "token_invalid")

    @pytest.mark.parametrize("ref", ["%27%3B--", "0", "a%00b", "%EF%BC%91%EF%BC%92", "WEB-0"])
    def test_of_impossible_names_are_bad_requests(self, org: Org, ref: str) -> None:
        for kind in ("issues", "projects", "comments"):
            if (kind, ref) != ("projects", "0"):
                assert org.member.get(f"/api/{kind}/{ref}").status_code == 400


class TestOpened:
    def test_with_a_read_is_over_when_it_has_begun(
        self, one: Database, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["id"])
        opened = begun(one, org.member, org.id, foreseen)
        assert opened.is_over
        with one.transaction() as session:
            here = "SELECT current_setting('app.org_id', true)"
            assert session.scalar(text(here)) in (None, "")
        assert titles(opened, foreseen, org.id) == [issue["title"]]
        opened.close()
        with pytest.raises(RuntimeError, match="nothing was begun"):
            _ = opened.connection

    def test_tells_its_rows_once_and_only_who_asks_for_them(
        self, one: Database, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["key"])
        opened = begun(one, org.member, org.id, foreseen)
        other = foreseen_issue(issue["id"])
        assert titles(opened, other, org.id) is None
        assert titles(opened, foreseen, uuid4()) is None
        assert opened.take(foreseen.statement, {"org_id": org.id, "id": uuid4()}) is None
        assert titles(opened, foreseen, org.id) == [issue["title"]]
        assert titles(opened, foreseen, org.id) is None

    def test_sees_nothing_for_who_is_nobody(self, one: Database, org: Org, issue: Json) -> None:
        foreseen = foreseen_issue(issue["id"])
        for session_id, org_id in ((uuid4(), org.id), (org.member.session_id, uuid4())):
            opened = Opened(one, foreseen)
            assert opened.begin(LIVE_SESSION, session_id=session_id, org_id=org_id) is None
            opened.org_id = org.id
            assert titles(opened, foreseen, org.id) == []

    def test_prepares_once_and_again_when_all_was_forgotten(
        self, one: Database, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["id"])
        for forgets, left in ((False, 1), (False, 1), (True, 0), (False, 1), (False, 1)):
            with one.read() as connection:
                if forgets:
                    connection.exec_driver_sql("DEALLOCATE ALL")
            opened = begun(one, org.member, org.id, foreseen)
            assert titles(opened, foreseen, org.id) == [issue["title"]]
            with one.read() as connection:
                assert connection.scalar(PREPARED) == left

    def test_reads_where_another_has_prepared_the_same(
        self, one: Database, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["key"])
        with one.read() as connection:
            connection.exec_driver_sql(prepared(foreseen.statement).preparation)
        for _ in range(3):
            opened = begun(one, org.member, org.id, foreseen)
            assert titles(opened, foreseen, org.id) == [issue["title"]]

    def test_that_fails_gives_back_a_connection_that_others_can_use(
        self, one: Database, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["id"])
        backends = set()
        for sql, state in (("SELECT 1/0", "22012"), ("SELEC", "42601")):
            opened = Opened(one, foreseen)
            with pytest.raises(OperationalError) as refusal:
                opened.begin(Opening(sql))
            assert getattr(refusal.value.orig, "sqlstate", None) == state
            opened.close()
            again = begun(one, org.member, org.id, foreseen)
            assert titles(again, foreseen, org.id) == [issue["title"]]
            with one.read() as connection:
                backends.add(connection.scalar(text("SELECT pg_backend_pid()")))
        assert len(backends) == 1


class TestColumnsThatChange:
    def test_cost_one_refusal_of_a_connection_at_most(
        self,
        other_world: Callable[..., AbstractContextManager[World]],
        cluster: Cluster,
    ) -> None:
        with other_world(threads=2) as small:
            org = small.create_org()
            made = org.developer.create_issue(org.manager.create_project())
            item, listed = f"/api/issues/{made['id']}", "/api/issues?limit=5"
            for _ in range(40):
                assert [org.member.get(path).status_code for path in (item, listed)] == [200, 200]
            change = "ALTER TABLE issues ALTER COLUMN version TYPE bigint"
            admin_of(cluster, small.runtime).execute(change)
            assert {org.member.get(item).status_code for _ in range(40)} == {200}
            statuses = [org.member.get(listed).status_code for _ in range(40)]
        assert statuses[0] == 503
        assert statuses.count(200) >= 40 - small.runtime.settings.threads


class TestContext:
    def test_reads_more_in_another_transaction_of_the_tenant(
        self, runtime: Runtime, contract: Contract, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["id"])
        with opened_context(runtime, contract, org, org.member, foreseen) as ctx:
            for _ in range(2):
                row = issues.find(ctx, issue["id"])
                assert row is not None
                assert row.title == issue["title"]
            assert ctx.read(select(func.count()).select_from(Issue)).scalar() == 1
        assert runtime.db.engine.pool.status().endswith("Current Checked out connections: 0")


class TestPrepared:
    def test_keeps_its_plan_when_a_transaction_is_undone(
        self, one: Database, org: Org, issue: Json
    ) -> None:
        foreseen = foreseen_issue(issue["id"])
        begun(one, org.member, org.id, foreseen)
        counting = select(func.count()).select_from(Issue)
        for _ in range(10):
            session = one.session(org_id=org.id)
            session.execute(counting)
            session.close()
        with one.read() as connection:
            assert connection.scalar(PREPARED) == 1
            others = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '\\_pg3%%'"
            assert connection.exec_driver_sql(others).scalar_one() > 0

    def test_is_one_for_each_statement(self, issue: Json) -> None:
        by_id, by_key = foreseen_issue(issue["id"]), foreseen_issue(issue["key"])
        assert prepared(by_id.statement) is prepared(foreseen_issue(str(uuid4())).statement)
        assert prepared(by_id.statement).name != prepared(by_key.statement).name
