"""Seeds into a real database, used as a newcomer would."""

from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, text

from bugtracker.models.issue import PRIORITIES, STATUSES, TRANSITIONS
from bugtracker.models.organisation import ROLES
from bugtracker.seeding import Seeded, records_of, seed_demo, seed_large
from tests.world import World

PASSWORD = "Spring-Tide-1893"
_slugs = (f"seed{number}" for number in count(1))


@dataclass
class Counted:
    """A progress that adds up."""

    done: int = 0

    def advance(self, n: int, label: str) -> None:
        assert label
        self.done += n


@dataclass
class Made:
    """A seeded organisation."""

    world: World
    seeded: Seeded
    done: int

    def rows(self, query: str) -> list[RowMapping]:
        with self.world.runtime.db.transaction(org_id=self.seeded.org_id) as session:
            return list(session.execute(text(query)).mappings())


def demo(world: World) -> Made:
    progress = Counted()
    runtime = world.runtime
    seeded = seed_demo(runtime.db, runtime.hasher, password=PASSWORD, progress=progress)
    return Made(world, seeded, progress.done)


def large(world: World, **options: Any) -> Made:
    progress = Counted()
    options = {"slug": next(_slugs), "issues": 60, **options}
    runtime = world.runtime
    seeded = seed_large(runtime.db, runtime.hasher, password=PASSWORD, progress=progress, **options)
    return Made(world, seeded, progress.done)


@pytest.fixture(scope="module")
def made_demo(world: World) -> Made:
    """The demo organisation; another test may have made it."""
    return demo(world)


@pytest.fixture(scope="module")
def made_large(world: World) -> Made:
    return large(world)


def texts(made: Made) -> list[tuple[Any, ...]]:
    """What was written, without ids and dates."""
    query = "SELECT title, description, status, priority FROM issues"
    return sorted(tuple(row.values()) for row in made.rows(query))


class TestDemo:
    def test_has_a_login_for_every_role(self, made_demo: Made) -> None:
        assert [login.role for login in made_demo.seeded.logins] == list(ROLES)
        for login in made_demo.seeded.logins:
            with made_demo.world.client() as client:
                body = {"email": login.email, "password": PASSWORD}
                tokens = client.post("/api/auth/login", json=body)
                assert tokens.status_code == 200, tokens.text
                bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
                me = client.get("/api/auth/me", headers=bearer).json()
                assert (me["username"], me["role"]) == (login.username, login.role)

    def test_shows_every_status_with_every_priority(self, made_demo: Made) -> None:
        rows = made_demo.rows("SELECT DISTINCT status, priority FROM issues")
        assert len(rows) == len(STATUSES) * len(PRIORITIES)

    def test_has_some_projects_and_forty_issues(self, made_demo: Made) -> None:
        assert len(made_demo.rows("SELECT * FROM projects")) == 3
        assert len(made_demo.rows("SELECT * FROM issues")) == 40

    def test_again_changes_nothing(self, world: World, made_demo: Made) -> None:
        before = made_demo.rows("SELECT count(*) AS n FROM events")
        again = demo(world)
        assert (again.seeded.created, again.done) == (False, 0)
        assert again.seeded.org_id == made_demo.seeded.org_id
        assert made_demo.rows("SELECT count(*) AS n FROM events") == before


class TestLarge:
    def test_has_fifty_developers_and_ten_projects(self, made_large: Made) -> None:
        roles = Counter(row["role"] for row in made_large.rows("SELECT role FROM members"))
        assert [roles[rank] for rank in range(6)] == [1, 1, 1, 50, 1, 1]
        assert len(made_large.rows("SELECT * FROM projects")) == 10

    def test_counts_and_progress_are_what_was_promised(self, made_large: Made) -> None:
        seeded = made_large.seeded
        assert (seeded.created, seeded.issues) == (True, 60)
        assert made_large.done == seeded.issues + seeded.comments == records_of(60)
        assert len(made_large.rows("SELECT * FROM comments")) == seeded.comments

    def test_the_same_seed_makes_the_same_texts(self, world: World, made_large: Made) -> None:
        assert texts(large(world)) == texts(made_large)
        assert texts(large(world, seed=2)) != texts(made_large)

    def test_a_taken_slug_is_left_alone(self, world: World, made_large: Made) -> None:
        again = large(world, slug=made_large.seeded.slug)
        assert (again.seeded.created, again.seeded.org_id) == (False, made_large.seeded.org_id)

    def test_no_issues_are_possible(self, world: World) -> None:
        assert large(world, issues=0).seeded.issues == records_of(0) == 0

    def test_next_issue_continues_the_numbers(self, world: World, made_large: Made) -> None:
        query = """SELECT p.last_issue_number AS last, max(i.number) AS highest, count(*) AS n
                   FROM projects p JOIN issues i ON i.project_id = p.id GROUP BY p.id, 1"""
        for row in made_large.rows(query):
            assert row["last"] == row["highest"] == row["n"]


class TestRules:
    """What is made up could have been done through the API."""

    def test_histories_follow_the_state_machine(self, made_large: Made) -> None:
        changes = made_large.rows("SELECT changes FROM events WHERE action = 'issue.updated'")
        assert len(changes) > 20
        for row in changes:
            old, new = row["changes"]["status"]
            assert new in TRANSITIONS[old]

    def test_histories_end_in_the_issues_state_and_version(self, made_large: Made) -> None:
        last = {
            row["issue_id"]: (row["changes"]["status"][1], row["resource_version"])
            for row in made_large.rows(
                "SELECT * FROM events WHERE resource_type = 'issue' ORDER BY resource_version"
            )
        }
        for row in made_large.rows("SELECT * FROM issues"):
            assert last[row["id"]] == (STATUSES[row["status"]], row["version"])

    def test_critical_issues_were_closed_with_a_comment(self, made_large: Made) -> None:
        query = f"""SELECT i.id, count(c.id) AS n
                    FROM issues i LEFT JOIN comments c ON c.issue_id = i.id
                    WHERE i.status >= {STATUSES.index("closed")} AND i.priority = 3 GROUP BY i.id"""
        found = made_large.rows(query)
        assert found
        assert all(row["n"] > 0 for row in found)

    def test_people_did_only_what_they_may(self, made_large: Made) -> None:
        ranks = {row["user_id"]: row["role"] for row in made_large.rows("SELECT * FROM members")}
        people: dict[str, set[UUID | None]] = {
            column: {row[column] for row in made_large.rows(f"SELECT {column} FROM {table}")}
            for column, table in (
                ("reporter_id", "issues"), ("assignee_id", "issues"), ("author_id", "comments"),
            )
        }  # fmt: skip
        writers = people["reporter_id"] | people["author_id"]
        assert all(ROLES[ranks[person]] != "auditor" for person in writers if person)
        assert all(ranks[person] <= 3 for person in people["assignee_id"] if person)

    def test_nothing_happens_in_the_future_or_before_its_issue(self, made_large: Made) -> None:
        wrong = """SELECT i.id FROM issues i LEFT JOIN comments c ON c.issue_id = i.id
                   WHERE i.updated_at > now() OR i.updated_at < i.created_at
                      OR c.created_at > now() OR c.created_at < i.created_at"""
        assert made_large.rows(wrong) == []
