"""What happened to one's own account."""

from typing import Any, cast
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, func, select, text

from bugtracker.embedded import Cluster
from bugtracker.ids import new_id
from bugtracker.models import Event
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import employee
from tests.plans import MODES, plan_of
from tests.recorder import recorded
from tests.registering import Newcomer, answer, logout, tokens_of
from tests.world import Caller, Json, Org, World, refused

PATH = "/api/auth/me/activity"
EVENTS = 20_000
LIMIT = 20

FILL = text(
    """
    INSERT INTO events (id, org_id, action, account_id, resource_type, resource_id, changes,
                        created_at)
    SELECT gen_random_uuid(), NULL, 'login.failed', CASE WHEN n % 2 = 0 THEN :account
           ELSE md5('account' || n % 500)::uuid END, 'user', :account, '{}', now()
    FROM generate_series(1, :count) n
    """
)


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return employee(world, org, anonymous, settings)


def activity(http: httpx.Client, token: str, **query: object) -> Json:
    headers = {"Authorization": f"Bearer {token}"}
    response = http.get(PATH, params=query, headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def events_of_own(caller: Caller) -> list[str]:
    return [entry["action"] for entry in caller.get(PATH).json()["items"]]


def told(entry: dict[str, Any]) -> dict[str, Any]:
    """The new values of an entry, by field."""
    return {change["field"]: change["new"] for change in entry["details"]}


class TestListMyActivity:
    def test_shows_the_newest_first_with_what_changed(self, org: Org, person: Newcomer) -> None:
        first = tokens_of(person.login())
        person.login(password="Wrong-Words-12")
        token = tokens_of(person.login())["access_token"]
        logout(person.http, first["refresh_token"])
        entries = activity(person.http, token)["items"]
        assert [entry["action"] for entry in entries[:4]] == [
            "session.ended",
            "login.succeeded",
            "login.failed",
            "login.succeeded",
        ]
        assert {entry["org_id"] for entry in entries[:4]} == {str(org.id)}
        assert entries[0]["details"] == [{"field": "revoked_reason", "old": None, "new": "logout"}]
        where = {"ip": "127.0.0.1", "user_agent": person.http.headers["User-Agent"]}
        assert told(entries[1]) == {"by": "password", **where}
        assert told(entries[2]) == where
        times = [entry["created_at"] for entry in entries]
        assert times == sorted(times, reverse=True)

    def test_shows_what_happened_in_all_organisations_and_outside_any(
        self, world: World, org: Org
    ) -> None:
        caller, other = org.caller("developer", "elsewhere"), world.create_org()
        world.join(caller.id, other.id, "member")
        items = caller.get(PATH).json()["items"]
        assert {entry["org_id"] for entry in items} == {str(org.id), str(other.id), None}

    def test_needs_no_organisation(self, world: World) -> None:
        loner = world.create_loner()
        assert events_of_own(loner) == ["user.created"]

    def test_needs_a_session(self, anonymous: httpx.Client) -> None:
        refused(anonymous.get(PATH), 401, "authentication_required")

    def test_is_read_page_by_page(self, person: Newcomer) -> None:
        for _ in range(4):
            person.login(password="Wrong-Words-12")
        token = tokens_of(person.login())["access_token"]
        whole = activity(person.http, token)["items"]
        walked, page = [], activity(person.http, token, limit=2)
        while page["next_cursor"]:
            walked += page["items"]
            page = activity(person.http, token, limit=2, cursor=page["next_cursor"])
        assert walked + page["items"] == whole
        assert len(whole) >= 5

    def test_a_cursor_of_somebody_else_is_refused(self, org: Org) -> None:
        one, other = org.caller("member", "one"), org.caller("member", "other")
        cursor = one.get(PATH, params={"limit": 1}).json()["next_cursor"]
        assert one.get(PATH, params={"limit": 1, "cursor": cursor}).status_code == 200
        refused(other.get(PATH, params={"limit": 1, "cursor": cursor}), 400, "cursor_invalid")

    def test_holds_no_secret(self, person: Newcomer) -> None:
        wrong = "Kanarienvogel-77"
        person.login(password=wrong)
        pair = tokens_of(person.login())
        told = str(activity(person.http, pair["access_token"]))
        for secret in (wrong, person.password, pair["refresh_token"], pair["access_token"]):
            assert secret not in told


class TestIsolation:
    def test_nobody_sees_what_happened_to_others(self, org: Org, person: Newcomer) -> None:
        tokens_of(person.login())
        for caller in (org.owner, org.admin):
            assert "login.succeeded" not in events_of_own(caller)

    def test_the_policy_shows_the_accounts_events_and_no_others(
        self, runtime: Runtime, world: World, org: Org, person: Newcomer
    ) -> None:
        account_id = UUID(person.me()["id"])
        elsewhere = world.create_org()
        elsewhere.manager.create_project()
        with runtime.db.transaction(org_id=elsewhere.id, account_id=account_id) as session:
            here = select(func.count()).where(Event.org_id == elsewhere.id)
            assert session.scalar(here)
            seen = session.execute(select(Event.account_id).where(Event.org_id != elsewhere.id))
            assert {row.account_id for row in seen} == {account_id}
        with runtime.db.transaction(account_id=new_id()) as session:
            assert session.scalars(select(Event.id)).all() == []

    def test_it_lets_nobody_write_into_another_organisation(
        self, runtime: Runtime, org: Org, world: World
    ) -> None:
        caller = world.create_loner()
        statement = text(
            "INSERT INTO events (id, org_id, action, account_id, resource_type, resource_id,"
            " changes, created_at) VALUES (gen_random_uuid(), :org, 'x.y', :account, 'user',"
            " :account, '{}', now())"
        )
        with (
            pytest.raises(Exception, match="row-level security"),
            runtime.db.transaction(account_id=caller.id) as session,
        ):
            session.execute(statement, {"org": org.id, "account": caller.id})


class TestPlan:
    def test_a_page_walks_the_index_of_the_account(
        self, empty_world: World, cluster: Cluster
    ) -> None:
        # In a database of its own: what others have written there would be in the statistics.
        runtime, org = empty_world.runtime, empty_world.create_org()
        caller = org.caller("member", "busy")
        name = str(runtime.db.engine.url.database)
        engine = create_engine(
            cluster.admin_url(name), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.execute(FILL, {"account": caller.id, "count": EVENTS})
            connection.execute(text("ANALYZE events"))
        cursor = caller.get(PATH).json()["next_cursor"]
        for query in ({}, {"cursor": cursor}):
            with recorded(runtime.db.engine) as statements:
                assert len(caller.get(PATH, params=query).json()["items"]) == LIMIT
            assert len(statements) == 1
            sql, parameters = statements[-1]
            with runtime.db.transaction(org_id=org.id, account_id=caller.id) as session:
                driver = cast(psycopg.Connection, session.connection().connection.driver_connection)
                for plan in (plan_of(driver, sql, parameters, mode) for mode in MODES):
                    assert plan.indexes == {"events_by_account_idx"}, plan
                    assert not plan.sorts, plan
                    assert plan.rows_read <= LIMIT + 1, plan


class TestLockedOut:
    def test_a_session_from_before_sees_the_lockout(
        self, person: Newcomer, settings: Settings
    ) -> None:
        token = tokens_of(person.login())["access_token"]
        for _ in range(settings.lockout_attempts):
            person.login(password="Wrong-Words-12")
        assert answer(person.login())[0] == 401
        locked, *failed = activity(person.http, token)["items"][: settings.lockout_attempts + 1]
        assert locked["action"] == "account.locked"
        assert [detail["field"] for detail in locked["details"]] == ["locked_until"]
        assert {entry["action"] for entry in failed} == {"login.failed"}
