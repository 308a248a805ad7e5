"""The newest documents with a word are the same, whichever of three ways they are found.

Walked to, all of them looked through, or found by the GIN index: only the time differs.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import ProgrammingError

from bugtracker.db import lift_timeouts
from tests.world import Org, World

COUNT = 1200
THINGS = ("issue", "comment")
WORDS = (
    "every", "half", "tenth", "seldom", "single", "never", "early", "late", "mixed", "remark",
    "-half", "every seldom", '"half tenth"', "early or late", "-every",
)  # fmt: skip
MOSTS = (0, 1, 40, 1000, 5000)

# How often each word is there; ids are in the order of time. Every third is in another project.
TEXT = """
    concat_ws(' ', 'every',
              CASE WHEN n % 2 = 0 THEN 'half' END, CASE WHEN n % 10 = 0 THEN 'tenth' END,
              CASE WHEN n % 250 = 0 THEN 'seldom' END, CASE WHEN n = 700 THEN 'single' END,
              CASE WHEN n < 400 THEN 'early' END, CASE WHEN n > :count - 50 THEN 'late' END,
              CASE WHEN n % (1 + n / 100) = 0 THEN 'mixed' END)
    """
FILL = (
    f"""
    INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
                        reporter_id, created_at, updated_at, version)
    SELECT :org, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
           CASE WHEN n % 3 = 0 THEN CAST(:other AS uuid) ELSE CAST(:project AS uuid) END, n,
           {TEXT}, CASE WHEN n % 2 = 0 THEN repeat('half ', n % 8) ELSE '' END, 0, 0,
           :person, now(), now(), 1
    FROM generate_series(1, :count) n
    """,
    f"""
    INSERT INTO comments (org_id, id, issue_id, author_id, content, created_at, updated_at, version)
    SELECT :org, id, id, :person, 'remark ' || {TEXT}, now(), now(), 1
    FROM (SELECT id, :count - number AS n FROM issues WHERE org_id = :org) issues
    """,
)

# The plain way: everything that there is, and then the newest of it.
PLAIN = """
    SELECT {thing}_id AS id, (ts_rank(document, words) * 1000000)::integer AS rank
    FROM {thing}_documents, (SELECT {words} AS words) q
    WHERE org_id = :org AND numnode(words) > 0 AND document @@ words
      AND project_id <> ALL (CAST(:without AS uuid[]))
    ORDER BY {thing}_id DESC LIMIT :most
    """
ASKED = "websearch_to_tsquery('english', :words)"
OWN = {
    "issue": rf"""
        CAST(regexp_replace(CAST({ASKED} AS text), '''(\w+)''', '''\1''\:AB', 'g') AS tsquery)
        """,
    "comment": ASKED,
}
FUNCTION = "SELECT id, rank FROM search_newest_{thing}s(:words, CAST(:without AS uuid[]), :most)"
WALK = """
    SELECT ids, ranks
    FROM walk_{thing}_documents({words}, CAST(:without AS uuid[]), :most, :first, :furthest)
    """
INDEX = (
    "SELECT ids, ranks FROM {thing}_documents_by_index({words}, CAST(:without AS uuid[]), :most)"
)
READ = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'issue_documents'"


@pytest.fixture(scope="module")
def org(empty_world: World) -> Org:
    """An organisation with documents, beside one with as many of the same ids."""
    _filled(empty_world)
    return _filled(empty_world)


def _filled(world: World) -> Org:
    org = world.create_org()
    project, other = (org.manager.create_project()["id"] for _ in range(2))
    values = {"org": org.id, "project": project, "other": other, "count": COUNT}
    with world.runtime.db.transaction(org_id=org.id) as session:
        lift_timeouts(session)
        for statement in FILL:
            session.execute(text(statement), {**values, "person": org.member.id})
    return org


@pytest.fixture
def system(org: Org) -> Iterator[Connection]:
    """As the role that the functions run as, with the tenant set."""
    url = org.world.runtime.settings.owner_database_url
    assert url is not None
    engine = create_engine(url.get_secret_value(), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE bugtracker_system"))
        tenant = text("SELECT set_config('app.org_id', :org, true)")
        connection.execute(tenant, {"org": str(org.id)})
        yield connection


def _without(org: Org) -> Sequence[list[UUID]]:
    [first, *_] = org.auditor.get("/api/projects").json()["items"]
    return [], [UUID(first["id"])]


class TestNewest:
    def test_are_those_of_a_plain_query_with_their_ranks(self, org: Org) -> None:
        sizes = set()
        with org.world.runtime.db.transaction(org_id=org.id) as session:
            for thing, words, without, most in product(
                THINGS, (*WORDS, "the"), _without(org), MOSTS
            ):
                values = {"org": org.id, "words": words, "without": without, "most": most}
                found = session.execute(text(FUNCTION.format(thing=thing)), values).all()
                plain = text(PLAIN.format(thing=thing, words=OWN[thing]))
                assert sorted(found) == sorted(session.execute(plain, values).all()), values
                sizes.add(len(found))
        assert {0, 1, 40, 1000, COUNT} <= sizes

    def test_are_found_by_every_way_alike(self, org: Org, system: Connection) -> None:
        ways = {"walked": 0, "by index": 0}
        bounds = ((1, 10), (7, 300), (20, 100_000))
        for thing, words, without, most, (first, furthest) in product(
            THINGS, WORDS, _without(org), (1, 40), bounds
        ):
            values = {"org": org.id, "words": words, "without": without, "most": most}
            walk, index, plain = (
                text(s.format(thing=thing, words=OWN[thing])) for s in (WALK, INDEX, PLAIN)
            )
            walked = system.execute(walk, {**values, "first": first, "furthest": furthest}).one()
            rows = system.execute(plain, values).all()
            expected = ([row.id for row in rows], [row.rank for row in rows])
            assert system.execute(index, values).one() == expected, values
            assert walked in ((None, None), expected), (values, first, furthest)
            ways["by index" if walked.ids is None else "walked"] += 1
        assert min(ways.values()) > 50, ways

    def test_are_walked_to_only_while_that_seems_near(self, org: Org, system: Connection) -> None:
        """How many documents are read shows after how many it was given up."""

        def walks(words: str, most: int, first: int, furthest: int) -> tuple[bool, int]:
            before = system.scalar(text(READ))
            values = {"words": words, "without": [], "most": most}
            values |= {"first": first, "furthest": furthest}
            statement = text(WALK.format(thing="issue", words=OWN["issue"]))
            found = system.scalar(statement, values)
            return found is not None, system.scalar(text(READ)) - before

        assert walks("every", 100, 20, 300) == (True, 100)
        assert walks("half", 100, 20, 300) == (True, 200)
        assert walks("early", 100, 20, 300) == (False, 20)
        assert walks("late", 40, 20, 300) == (True, 40)
        # 20 of 20, then 50 of 100, then none of 100 more: a wrong guess, and the index is left.
        assert walks("late", 100, 20, 300) == (False, 200)
        # The end: there is nothing more, and so no need of the index.
        assert walks("single", 100, 20, 1_000_000) == (True, COUNT)

    def test_the_ways_are_no_business_of_the_api(self, org: Org) -> None:
        values: dict[str, Any] = {"words": "half", "without": [], "most": 9}
        for thing, statement in product(THINGS, (WALK, INDEX)):
            asked = text(statement.format(thing=thing, words=ASKED))
            with (
                pytest.raises(ProgrammingError) as refused,
                org.world.runtime.db.transaction(org_id=org.id) as session,
            ):
                session.execute(asked, {**values, "first": 9, "furthest": 99})
            assert isinstance(refused.value.orig, InsufficientPrivilege)
