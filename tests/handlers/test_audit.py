"""The audit log: who sees it, what is in it, how it is filtered."""

from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, func, select, text

from bugtracker.audit.sealing import seal_now
from bugtracker.audit.verifying import verify
from bugtracker.embedded import Cluster
from bugtracker.models.organisation import Role
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import employee
from tests.plans import MODES, plan_of
from tests.recorder import recorded
from tests.registering import Newcomer
from tests.world import Caller, Json, Org, World, refused

PATH = "/api/audit"
READERS: tuple[Role, ...] = ("owner", "admin", "auditor")
OTHERS: tuple[Role, ...] = ("manager", "developer", "member")


def listed(caller: Caller, **query: Any) -> list[Json]:
    response = caller.get(PATH, params={"limit": 100, **query})
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def actions(caller: Caller, **query: Any) -> list[str]:
    return [item["action"] for item in listed(caller, **query)]


class TestListAuditEvents:
    def test_shows_who_did_what_to_what_and_when(self, org: Org) -> None:
        issue = org.manager.create_issue(org.manager.create_project(), title="Ebb")
        answer = org.developer.post(f"/api/issues/{issue['id']}/comments", {"content": "Seen."})
        org.manager.patch(f"/api/issues/{issue['id']}", {"title": "Flood"})
        updated, commented, created, *_ = listed(org.auditor, action="issue.*,comment.*")
        assert updated["action"] == "issue.updated"
        assert updated["actor"] == {
            "id": str(org.manager.id),
            "username": org.manager.username,
            "name": None,
        }
        assert updated["resource"] == {"type": "issue", "id": issue["id"], "version": 2}
        assert (updated["project_id"], updated["issue_id"]) == (issue["project_id"], issue["id"])
        assert updated["changes"] == [{"field": "title", "old": "Ebb", "new": "Flood"}]
        assert commented["request_id"] == answer.headers["x-request-id"]
        assert commented["actor"]["id"] == str(org.developer.id)
        assert [created["action"], created["resource"]["version"]] == ["issue.created", 1]

    def test_is_newest_first_unless_asked_otherwise(self, org: Org) -> None:
        project = org.manager.create_project()
        for _ in range(3):
            org.manager.create_issue(project)
        newest, oldest = listed(org.owner), listed(org.owner, sort="created_at")
        # By id: a worker may give them their numbers between the two.
        assert [event["id"] for event in newest] == [event["id"] for event in oldest][::-1]
        times = [event["created_at"] for event in oldest]
        assert times == sorted(times)

    def test_events_get_their_number_when_they_are_sequenced(
        self, org: Org, runtime: Runtime
    ) -> None:
        org.owner.create_project()
        with runtime.db.read() as connection:
            connection.execute(text("SELECT number_events()"))
        numbers = [event["number"] for event in listed(org.owner)]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))

    def test_is_read_page_by_page_and_misses_nothing(self, org: Org) -> None:
        project = org.manager.create_project()
        for _ in range(5):
            org.manager.create_issue(project)
        whole, walked, cursor = listed(org.admin), [], {}
        while cursor is not None:
            page = org.admin.get(PATH, params={"limit": 2, **cursor}).json()
            walked += page["items"]
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
        assert walked == whole
        assert len(whole) >= 8

    @pytest.mark.parametrize("role", READERS)
    def test_owners_admins_and_auditors_may_read_it(self, org: Org, role: Role) -> None:
        org.manager.create_project()
        assert "project.created" in actions(org.caller(role))

    @pytest.mark.parametrize("role", OTHERS)
    def test_nobody_else_may(self, org: Org, role: Role) -> None:
        refused(org.caller(role).get(PATH), 403, "permission_denied")

    def test_needs_a_token_and_an_organisation(self, anonymous: httpx.Client, world: World) -> None:
        refused(anonymous.get(PATH), 401, "authentication_required")
        refused(world.create_loner().get(PATH), 403, "organisation_required")

    def test_nothing_of_another_organisation_is_in_it(self, org: Org, world: World) -> None:
        other = world.create_org()
        theirs = other.manager.create_project()
        org.manager.create_project()
        for query in ({}, {"resource_id": theirs["id"]}, {"actor": str(other.manager.id)}):
            found = listed(org.owner, **query)
            assert {event["resource"]["id"] for event in found}.isdisjoint({theirs["id"]})
        assert listed(org.owner, resource_id=theirs["id"]) == []
        assert listed(org.owner, actor=str(other.manager.id)) == []


class TestSecurityEvents:
    @pytest.fixture
    def person(
        self, world: World, org: Org, anonymous: httpx.Client, settings: Settings
    ) -> Newcomer:
        """A member of the organisation who logs in with a password."""
        return employee(world, org, anonymous, settings)

    def test_logins_and_failed_ones_are_visible_to_admins(self, org: Org, person: Newcomer) -> None:
        assert person.login().status_code == 200
        assert person.login(password="Wrong-Words-12").status_code == 401
        failed, succeeded = listed(org.admin, action="login.*")[:2]
        assert (failed["action"], failed["actor"]) == ("login.failed", None)
        assert failed["resource"]["type"] == "user"
        assert succeeded["action"] == "login.succeeded"
        assert succeeded["actor"]["username"] == person.username

    def test_where_logins_came_from_is_told_and_can_be_erased(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        bearer = {"User-Agent": "=Zulu" + "x" * 500}
        login = {"email": person.email, "password": person.password}
        for body in (login, {**login, "password": "Wrong-Words-12"}):
            person.http.post("/api/auth/login", json=body, headers=bearer)
        seal_now(runtime, org.id)
        for event in listed(org.admin, action="login.*")[:2]:
            told = {change["field"]: change["new"] for change in event["changes"]}
            assert (told["ip"], told["user_agent"]) == ("127.0.0.1", bearer["User-Agent"][:400])
            with runtime.db.transaction(org_id=org.id) as session:
                assert session.scalar(select(func.anonymise_event(UUID(event["id"]))))
        for event in listed(org.admin, action="login.*")[:2]:
            told = {change["field"]: change["new"] for change in event["changes"]}
            assert (told["ip"], told["user_agent"]) == (None, None)
        with runtime.db.transaction(org_id=org.id) as session:
            assert verify(session, runtime.keyring, org.id).ok

    def test_no_secret_is_in_them(self, org: Org, person: Newcomer) -> None:
        wrong = "Kanarienvogel-77"
        person.login(password=wrong)
        pair = person.login().json()
        told = str(listed(org.admin))
        for secret in (wrong, person.password, pair["refresh_token"], pair["access_token"]):
            assert secret not in told


class TestFilters:
    @pytest.fixture
    def issue(self, org: Org) -> Json:
        issue = org.manager.create_issue(org.manager.create_project())
        org.developer.create_comment(issue)
        org.manager.move(issue, "in_progress")
        return issue

    def test_by_action_whole_or_of_one_noun(self, org: Org, issue: Json) -> None:
        assert actions(org.admin, action="issue.created") == ["issue.created"]
        assert actions(org.admin, action="issue.*") == ["issue.updated", "issue.created"]
        both = actions(org.admin, action="comment.*,issue.created")
        assert both == ["comment.created", "issue.created"]
        assert actions(org.admin, action="issu.*") == []
        assert actions(org.admin, action="issue.create") == []

    def test_by_who_did_it(self, org: Org, issue: Json) -> None:
        assert actions(org.admin, actor=str(org.developer.id)) == ["comment.created"]
        assert actions(org.admin, actor="me") == []
        assert actions(org.admin, actor=str(uuid4())) == []

    def test_by_what_it_happened_to(self, org: Org, issue: Json) -> None:
        assert actions(org.admin, resource_id=issue["id"]) == ["issue.updated", "issue.created"]
        assert actions(org.admin, resource_type="comment") == ["comment.created"]
        both = {"resource_type": "comment", "resource_id": issue["id"]}
        assert actions(org.admin, **both) == []

    def test_by_when_from_a_moment_on_and_before_another(self, org: Org, issue: Json) -> None:
        events = listed(org.admin, sort="created_at")
        middle = events[len(events) // 2]["created_at"]
        later = listed(org.admin, sort="created_at", created_after=middle)
        earlier = listed(org.admin, sort="created_at", created_before=middle)
        assert earlier + later == events
        assert earlier
        assert middle == later[0]["created_at"]

    def test_a_time_may_have_an_offset(self, org: Org, issue: Json) -> None:
        assert listed(org.admin, created_after="2025-01-01T12:00:00.5+05:30")

    @pytest.mark.parametrize(
        "query",
        [
            {"action": "issue"},
            {"action": "*"},
            {"action": "*.created"},
            {"action": "issue.*.x"},
            {"action": "issue.%"},
            {"actor": "somebody"},
            {"resource_type": "Issue"},
            {"resource_id": "TLS-1"},
            {"created_after": "2025-01-01"},
            {"created_after": "2025-02-30T00:00:00Z"},
            {"created_after": "2025-01-01T00:00:60Z"},
            {"created_before": "2025-01-01T00:00:00"},
            {"created_before": "0000-01-01T00:00:00Z"},
            {"created_before": "2025-01-01T25:00:00Z"},
            {"created_before": "2025-01-01T00:00:00+99:00"},
            {"sort": "number"},
            {"page": "1"},
        ],
        ids=str,
    )
    def test_what_is_no_filter_is_refused(self, org: Org, query: Json) -> None:
        refused(org.admin.get(PATH, params=query), 400, "request_invalid")


FILL = """
    INSERT INTO events (id, org_id, number, action, actor_id, resource_type, resource_id,
                        resource_version, changes, created_at)
    SELECT gen_random_uuid(), :org, n,
           CASE WHEN n % 1000 = 0 THEN 'login.failed' WHEN n % 2 = 0 THEN 'issue.updated'
                ELSE 'comment.created' END,
           CASE WHEN n % 500 = 0 THEN CAST(:rare AS uuid) ELSE CAST(:actor AS uuid) END,
           CASE WHEN n % 1000 = 0 THEN 'user' WHEN n % 2 = 0 THEN 'issue' ELSE 'comment' END,
           CASE WHEN n % 2500 = 0 THEN CAST(:thing AS uuid) ELSE gen_random_uuid() END,
           1, '{}', now() - n * interval '1 minute'
    FROM generate_series(100, :count) n
"""
EVENTS = 20_000
LIMIT = 20


@pytest.fixture(scope="module")
def big(world: World, cluster: Cluster, database: str) -> tuple[Org, Caller, UUID]:
    org, thing = world.create_org(), uuid4()
    rare = org.caller("member")
    engine = create_engine(
        cluster.admin_url(database), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    values = {"org": org.id, "count": EVENTS, "thing": thing}
    with engine.connect() as connection:
        people = {"actor": org.developer.id, "rare": rare.id}
        connection.execute(text(FILL), {**values, **people})
        connection.execute(text("ANALYZE events"))
    return org, rare, thing


class TestPlan:
    def test_every_page_reads_few_rows_out_of_an_index(
        self, runtime: Runtime, big: tuple[Org, Caller, UUID]
    ) -> None:
        org, rare, thing = big
        queries: list[Json] = [
            {}, {"sort": "created_at"}, {"action": "issue.updated"}, {"action": "login.failed"},
            {"actor": str(rare.id)}, {"actor": str(org.developer.id)}, {"resource_type": "user"},
            {"resource_type": "issue"}, {"created_before": "2020-01-01T00:00:00Z"},
            {"action": "login.failed", "sort": "created_at"}, {"resource_id": str(thing)},
        ]  # fmt: skip
        for query in queries:
            for plan in self.plans(runtime, org, query):
                assert plan.read_whole == set(), (query, plan)
                assert plan.rows_read <= 2 * LIMIT, (query, plan)

    def test_actions_of_one_noun_are_found_in_an_index(
        self, runtime: Runtime, big: tuple[Org, Caller, UUID]
    ) -> None:
        for query in ({"action": "issue.*"}, {"action": "login.*"}, {"action": "user.*,login.*"}):
            for plan in self.plans(runtime, big[0], query):
                assert plan.read_whole == set(), (query, plan)

    def plans(self, runtime: Runtime, org: Org, query: Json) -> list[Any]:
        with recorded(runtime.db.engine) as statements:
            assert org.admin.get(PATH, params=query).status_code == 200
        assert len(statements) == 1
        sql, parameters = statements[-1]
        with runtime.db.transaction(org_id=org.id, account_id=org.admin.id) as session:
            driver = cast(psycopg.Connection, session.connection().connection.driver_connection)
            return [plan_of(driver, sql, parameters, mode) for mode in MODES]
