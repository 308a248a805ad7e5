"""Hot statements use indexes with 20,000 issues in a project, whatever is asked.

The statements are those the API sends, taken on their way; each is planned twice, for its values
and generically, as a prepared statement is after some runs.
"""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from bugtracker.db import Rows, lift_timeouts
from bugtracker.embedded import Cluster
from bugtracker.settings import Settings
from tests.plans import MODES, Plan, plan_of
from tests.recorder import recorded
from tests.world import Json, Org, World, made

ISSUES = 20_000
SORTS = ("created_at", "updated_at", "priority", "status", "due_date", "number")
LIMIT = 20

NEWEST = {"p_most::integer": 1000, "p_from::uuid": UUID(int=2**128 - 1)}
"""Of what functions for searches are told: how many, and from where on backwards in time."""

# Each word of the thousand is in 20 issues, "leak" in all of them.
FILL = (
    """
    INSERT INTO members (org_id, user_id, imported_from, imported_username, role,
                         created_at, updated_at, version)
    SELECT :org, gen_random_uuid(), 'test', 'person' || n, 3, now(), now(), 1
    FROM generate_series(1, 50) n
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
                        reporter_id, assignee_id, due_date, created_at, updated_at, version)
    SELECT :org, gen_random_uuid(), :project, n, 'A leak, number ' || n, 'word' || n % 1000,
           n % 5, n % 4, people[1 + n % 50], people[1 + n % 49],
           CASE WHEN n % 3 > 0 THEN date '2026-01-01' + n % 365 END,
           now() - n * interval '1 minute', now() - n % 977 * interval '1 hour', 1
    FROM generate_series(1, :count) n,
         (SELECT array_agg(user_id ORDER BY user_id) AS people FROM members WHERE org_id = :org) m
    """,
    """
    INSERT INTO comments (org_id, id, issue_id, author_id, content, created_at, updated_at, version)
    SELECT org_id, gen_random_uuid(), id, reporter_id, 'Seen.', created_at, created_at, 1
    FROM issues WHERE project_id = :project AND number % 4 = 1
    """,
    """
    INSERT INTO events (id, org_id, action, actor_id, resource_type, resource_id, resource_version,
                        project_id, issue_id, changes, created_at)
    SELECT gen_random_uuid(), org_id, 'issue.created', reporter_id, 'issue', id, 1,
           project_id, id, '{}', created_at
    FROM issues WHERE project_id = :project
    """,
)

# A big tenant is far from the average that a generic plan is made for.
SMALL_TENANTS = (
    """
    INSERT INTO organisations (id, slug, name, created_at, updated_at, version)
    SELECT md5('small' || n)::uuid, 'small-' || n, 'Small', now(), now(), 1
    FROM generate_series(1, 300) n ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO members (org_id, user_id, imported_from, imported_username, role,
                         created_at, updated_at, version)
    SELECT id, id, 'test', 'person', 1, now(), now(), 1
    FROM organisations WHERE slug LIKE 'small-%' ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO projects (org_id, id, key, name, description, created_by_id, is_archived,
                          last_issue_number, created_at, updated_at, version)
    SELECT id, id, 'SMALL', 'Small', '', id, false, 2, now(), now(), 1
    FROM organisations WHERE slug LIKE 'small-%' ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
                        reporter_id, created_at, updated_at, version)
    SELECT id, gen_random_uuid(), id, n, 'A leak', 'word' || n, 0, 0, id, now(), now(), 1
    FROM organisations, generate_series(1, 2) n WHERE slug LIKE 'small-%' ON CONFLICT DO NOTHING
    """,
)


@dataclass(frozen=True)
class Big:
    """An organisation with a big project, beside others."""

    world: World
    org: Org
    project: Json
    issue: Json
    person: str
    modes: tuple[str, ...] = MODES

    @property
    def settings(self) -> Settings:
        return self.world.runtime.settings

    @property
    def path(self) -> str:
        return f"/api/projects/{self.project['id']}/issues"

    def plans(self, path: str, **query: Any) -> list[Plan]:
        """The plans of the last statement of a GET, one for each mode."""
        with recorded(self.world.runtime.db.engine) as statements:
            response = self.org.owner.get(path, params=query)
        assert response.status_code == 200, response.text
        return self._plans(*statements[-1])

    def plans_of(self, statement: Rows) -> list[Plan]:
        """The same of a statement that no GET sends."""
        compiled = statement.compile(self.world.runtime.db.engine)
        return self._plans(str(compiled), dict(compiled.params))

    def _plans(self, sql: str, parameters: dict[str, Any]) -> list[Plan]:
        with self.world.runtime.db.transaction(org_id=self.org.id) as session:
            connection = session.connection().connection.driver_connection
            driver = cast(psycopg.Connection, connection)
            return [plan_of(driver, sql, parameters, mode) for mode in self.modes]

    def cursor(self, pages: int, **query: Any) -> str:
        """The cursor behind so many full pages."""
        cursor: dict[str, str] = {}
        for _ in range(pages):
            page = self.org.member.get(self.path, params={**query, **cursor}).json()
            cursor = {"cursor": page["next_cursor"]}
        return cursor["cursor"]


def _fill(world: World, org: Org, project: Json, count: int) -> None:
    values = {"org": org.id, "project": UUID(project["id"]), "count": count}
    with world.runtime.db.transaction(org_id=org.id) as session:
        lift_timeouts(session)
        for statement in FILL:
            session.execute(text(statement), values)


def _fill_around(world: World, cluster: Cluster) -> None:
    """Many small tenants, and up-to-date statistics."""
    url = cluster.admin_url(world.runtime.db.engine.url.database or "")
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in SMALL_TENANTS:
            connection.execute(text(statement))
        connection.execute(
            text(
                "VACUUM ANALYZE"
                " projects, issues, comments, events, issue_documents, comment_documents"
            )
        )


@pytest.fixture(scope="module")
def big(empty_world: World, cluster: Cluster) -> Big:
    world = empty_world
    for _ in range(3):
        other = world.create_org()
        _fill(world, other, other.manager.create_project(), 1500)
    org = world.create_org()
    _fill(world, org, org.manager.create_project(), 1000)
    project = org.manager.create_project()
    _fill(world, org, project, ISSUES)
    _fill_around(world, cluster)
    path = f"/api/projects/{project['id']}/issues"
    issue = org.member.get(path, params={"limit": 1}).json()["items"][0]
    return Big(world, org, project, issue, issue["assignee_id"])


def assert_walks_an_index(plan: Plan, about: object, most: int = 4 * LIMIT) -> None:
    """No big table read whole, nothing sorted, and hardly more rows fetched than shown."""
    assert plan.read_whole == set(), (about, plan)
    assert not plan.sorts, (about, plan)
    assert plan.rows_read <= most, (about, plan)


def plan_within(big: Big, function: str, values: dict[str, Any], mode: str) -> Plan:
    """The plan of a search function's body, as the role it runs as, with the tenant set."""
    assert big.settings.owner_database_url is not None
    engine = create_engine(big.settings.owner_database_url.get_secret_value(), poolclass=NullPool)
    with engine.begin() as connection:
        source = text("SELECT prosrc FROM pg_proc WHERE proname = :name")
        body = connection.scalar(source, {"name": function})
        assert isinstance(body, str)
        for typed in values:
            name, kind = typed.split("::")
            body = body.replace(name, f"%({name})s::{kind}")
        connection.execute(text("SET LOCAL ROLE bugtracker_system"))
        connection.execute(
            text("SELECT set_config('app.org_id', :org, true)"), {"org": str(big.org.id)}
        )
        driver = cast(psycopg.Connection, connection.connection.driver_connection)
        named = {typed.split("::")[0]: value for typed, value in values.items()}
        return plan_of(driver, body, named, mode)


class TestListIssues:
    def test_every_sort_walks_an_index_both_ways_from_any_cursor(self, big: Big) -> None:
        for name in (sign + sort for sort in SORTS for sign in ("", "-")):
            for plan in big.plans(big.path, sort=name):
                assert_walks_an_index(plan, name)
            cursor = big.cursor(2, sort=name, limit=100)
            for plan in big.plans(big.path, sort=name, cursor=cursor):
                assert_walks_an_index(plan, (name, "cursor"))

    def test_a_page_deep_in_reads_no_more_than_the_first(self, big: Big) -> None:
        cursor = big.cursor(100, limit=100)
        for plan in big.plans(big.path, cursor=cursor):
            assert_walks_an_index(plan, "deep")

    def test_filters_people_use_walk_an_index_of_their_own(self, big: Big) -> None:
        filters = {"status": "open", "assignee": big.person, "reporter": big.issue["reporter_id"]}
        for name, value in filters.items():
            for sort in ("-created_at", "created_at"):
                query: Json = {name: value, "sort": sort}
                cursor = big.cursor(1, **query, limit=50)
                for plan in big.plans(big.path, **query) + big.plans(
                    big.path, **query, cursor=cursor
                ):
                    assert_walks_an_index(plan, query)

    def test_other_filters_read_no_table_whole(self, big: Big) -> None:
        for query in (
            {"status": "open,reopened"},
            {"priority": "critical"},
            {"status": "open", "priority": "low,high", "assignee": big.person},
            {"assignee": "none"},
            {"assignee": "me"},
            {"status": "closed", "sort": "-priority"},
        ):
            for plan in big.plans(big.path, **query):
                assert plan.read_whole == set(), (query, plan)


class TestSearch:
    def _plan(self, big: Big, words: str, mode: str) -> Plan:
        values = {"p_words::tsquery": words, "p_project::uuid": UUID(big.project["id"]), **NEWEST}
        return plan_within(big, "project_documents_by_index", values, mode)

    @pytest.mark.parametrize(
        "words", ["word77", "leak & word77", "seldom", "leak <-> number", "!leak"]
    )
    def test_the_function_finds_words_by_the_gin_index(self, big: Big, words: str) -> None:
        for mode in MODES:
            plan = self._plan(big, words, mode)
            assert "issue_documents_document_idx" in plan.indexes, (mode, plan)
            assert plan.read_whole == set(), (mode, plan)

    def test_other_projects_and_tenants_cost_nothing(self, big: Big) -> None:
        for mode in MODES:
            plan = self._plan(big, "word77", mode)
            assert plan.rows_read == ISSUES // 1000, (mode, plan)

    def test_the_list_reads_only_what_was_found(self, big: Big) -> None:
        for query in ({}, {"status": "open"}, {"sort": "-created_at"}, {"page": 1}):
            for plan in big.plans(big.path, search="word77", **query):
                assert plan.read_whole == set(), (query, plan)
                assert plan.rows_read <= ISSUES // 1000, (query, plan)


class TestOneIssue:
    def test_its_comments_and_history_walk_an_index(self, big: Big) -> None:
        for ref in (big.issue["id"], big.issue["key"]):
            for listing in ("comments", "history"):
                for sort in ("created_at", "-created_at"):
                    for plan in big.plans(f"/api/issues/{ref}/{listing}", sort=sort):
                        assert_walks_an_index(plan, (ref, listing, sort), most=4)

    def test_a_cursor_of_comments_walks_on(self, big: Big) -> None:
        path = f"/api/issues/{big.issue['id']}/comments"
        for _ in range(3):
            made(big.org.member.post(path, {"content": "One more"}))
        cursor = big.org.member.get(path, params={"limit": 1}).json()["next_cursor"]
        for plan in big.plans(path, cursor=cursor, limit=1):
            assert_walks_an_index(plan, "comments", most=4)

    def test_id_and_key_find_it_at_once(self, big: Big) -> None:
        for ref in (big.issue["id"], big.issue["key"]):
            # With a query it is a statement of its own, the same as in the first message without.
            for plan in big.plans(f"/api/issues/{ref}", fields="title"):
                assert_walks_an_index(plan, ref, most=1)


class TestListProjects:
    def test_reads_no_issues(self, big: Big) -> None:
        for plan in big.plans("/api/projects"):
            assert plan.rows_read == 0
