"""A search in a list: the newest hits by relevance, then the older ones, newest first.

Held against a plain definition that reads everything; with as many documents, and words in them,
as :mod:`tests.test_search_newest` has.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from bugtracker.queries import issues
from tests.test_search_newest import COUNT, READ, WORDS, org, system
from tests.world import Json, Org, World

__all__ = ["org", "system"]

# One project's are 800, all of them 1200.
RANKED = (0, 1, 40, 801, 1000)

PLAIN = """
    SELECT issue_id, CASE WHEN place <= :ranked THEN (ts_rank(document, words) * 1000000)::integer
                     ELSE 0 END AS rank
    FROM (SELECT issue_id, document, words, row_number() OVER (ORDER BY issue_id DESC) AS place
          FROM issue_documents, websearch_to_tsquery('english', :words) words
          WHERE numnode(words) > 0 AND document @@ words
            AND (CAST(:project AS uuid) IS NULL OR project_id = :project)) hits
    ORDER BY rank DESC, issue_id DESC
    """
FIND = """
    SELECT issue_id, rank, newest FROM find_issues(
        :words, CAST(:project AS uuid), :ranked, CAST(:most AS integer),
        CAST(:newest AS uuid), CAST(:rank AS integer), CAST(:last AS uuid))
    """
FROM_THE_FIRST: Json = {"newest": None, "rank": None, "last": None}

Hits = list[tuple[UUID, int]]


def _project(org: Org) -> str:
    """The larger one."""
    projects = org.auditor.get("/api/projects").json()["items"]
    counts: dict[str, int] = {
        each["id"]: _page(org, each["id"], page=1)["total"] for each in projects
    }
    return max(counts, key=lambda id_: counts[id_])


def _page(org: Org, project: str | None, **query: Any) -> Json:
    path = "/api/issues" if project is None else f"/api/projects/{project}/issues"
    response = org.auditor.get(path, params=query)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def _walked(org: Org, project: str | None, **query: Any) -> list[str]:
    """The ids of everything, by cursor."""
    page = _page(org, project, **query)
    ids = [item["id"] for item in page["items"]]
    while page["next_cursor"]:
        page = _page(org, project, **query, cursor=page["next_cursor"])
        ids += [item["id"] for item in page["items"]]
    return ids


def _plain(session: Session | Connection, values: Json) -> Hits:
    return [(row.issue_id, row.rank) for row in session.execute(text(PLAIN), values)]


def _found(session: Session | Connection, values: Json, most: int | None) -> Sequence[Row[Any]]:
    return session.execute(text(FIND), {**FROM_THE_FIRST, **values, "most": most}).all()


def _in_pages(session: Session, values: Json, most: int) -> Hits:
    """All of them, each page behind the last hit of the page before."""
    hits: Hits = []
    page = _found(session, values, most)
    while page:
        hits += [(row.issue_id, row.rank) for row in page]
        last = page[-1]
        behind = {"newest": last.newest, "rank": last.rank, "last": last.issue_id}
        page = _found(session, {**values, **behind}, most)
    return hits


class TestHits:
    def test_are_those_of_a_plain_query_in_its_order(self, org: Org) -> None:
        sizes = set()
        with org.world.runtime.db.transaction(org_id=org.id) as session:
            for words, project, ranked in product((*WORDS, "the"), (None, _project(org)), RANKED):
                values = {"words": words, "project": project, "ranked": ranked}
                plain = _plain(session, values)
                every = _found(session, values, None)
                assert sorted((row.issue_id, row.rank) for row in every) == sorted(plain), values
                sizes.add(len(plain))
                if ranked > 0:
                    for most in (1, 21, 900):
                        first = [(row.issue_id, row.rank) for row in _found(session, values, most)]
                        assert first == plain[:most], (values, most)
        assert {0, 2, COUNT} <= sizes

    def test_come_once_each_in_pages(self, org: Org) -> None:
        with org.world.runtime.db.transaction(org_id=org.id) as session:
            for words, project, ranked in product(
                ("every", "mixed", "early", "seldom", "-half"), (None, _project(org)), RANKED[1:]
            ):
                values = {"words": words, "project": project, "ranked": ranked}
                assert _in_pages(session, values, 97) == _plain(session, values), values

    def test_of_other_organisations_are_not_there(self, world: World, org: Org) -> None:
        other = world.create_org()
        for project, id_ in ((_project(org), other.id), (None, other.id), (None, None)):
            values = {"words": "every", "project": project, "ranked": 40}
            with org.world.runtime.db.transaction(org_id=id_) as session:
                for most in (21, None):
                    assert _found(session, values, most) == []


class TestList:
    @pytest.mark.parametrize("ranked", [5, 1000])
    def test_shows_them_in_that_order_by_cursor_and_by_page(
        self, org: Org, monkeypatch: pytest.MonkeyPatch, ranked: int
    ) -> None:
        monkeypatch.setattr(issues, "RANKED", ranked)
        for words, project in product(("half", "tenth"), (None, _project(org))):
            values = {"words": words, "project": project, "ranked": ranked}
            with org.world.runtime.db.transaction(org_id=org.id) as session:
                plain = [str(id_) for id_, _ in _plain(session, values)]
            query: Json = {"search": words, "limit": 100}
            assert _walked(org, project, **query) == plain
            pages = [_page(org, project, **query, page=n) for n in range(1, 9)]
            assert [item["id"] for page in pages for item in page["items"]] == plain
            assert {page["total"] for page in pages} == {len(plain)}

    def test_has_the_same_order_with_filters(
        self, org: Org, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(issues, "RANKED", 40)
        project = _project(org)
        for narrow in ({"filter": "number>600"}, {"status": "open"}, {"status": "closed"}):
            query: Json = {"search": "half", "limit": 100, **narrow}
            wanted = set(_walked(org, project, **narrow, limit=100))
            everything = _walked(org, project, search="half", limit=100)
            assert _walked(org, project, **query) == [i for i in everything if i in wanted]
            assert _page(org, project, **query, page=1)["total"] == len(wanted & set(everything))

    def test_has_all_of_them_in_any_other_order(self, org: Org) -> None:
        project = _project(org)
        found = set(_walked(org, project, search="half", limit=100))
        for sort in ("number", "-created_at", "priority"):
            ids = _walked(org, project, search="half", sort=sort, limit=100)
            assert ids == [i for i in _walked(org, project, sort=sort, limit=100) if i in found]

    @pytest.mark.parametrize("narrow", [{}, {"status": "open"}])
    def test_shows_everything_old_once_while_new_hits_come(
        self, org: Org, monkeypatch: pytest.MonkeyPatch, narrow: Json
    ) -> None:
        monkeypatch.setattr(issues, "RANKED", 5)
        project = org.manager.create_project()
        for n in range(12):
            org.member.create_issue(project, title="A leak", description="leak " * (n % 4))
        query: Json = {"search": "leak", "limit": 2, **narrow}
        old = _walked(org, project["id"], **query)
        page = _page(org, project["id"], **query)
        seen = [item["id"] for item in page["items"]]
        while page["next_cursor"]:
            org.member.create_issue(project, title="A leak", description="leak")
            page = _page(org, project["id"], **query, cursor=page["next_cursor"])
            seen += [item["id"] for item in page["items"]]
        assert seen == old


class TestCosts:
    def _read(self, connection: Connection, values: Json, most: int | None) -> int:
        """How many documents are fetched."""
        before: int = connection.scalar(text(READ))
        _found(connection, values, most)
        after: int = connection.scalar(text(READ))
        return after - before

    def test_a_word_of_all_reads_only_what_it_ranks(self, org: Org, system: Connection) -> None:
        for project in (_project(org), None):
            values = {"words": "every", "project": project, "ranked": 600}
            # In all projects there are some newer issues of other tests.
            assert 600 <= self._read(system, values, 21) <= (600 if project else 700)

    def test_a_rare_word_reads_its_hits_behind_the_first_guess(
        self, org: Org, system: Connection
    ) -> None:
        values = {"words": "single", "project": _project(org), "ranked": 1000}
        assert self._read(system, values, 21) == 256 + 2

    def test_no_plan_of_a_small_tenant_is_kept_for_a_large_one(
        self, org: Org, system: Connection
    ) -> None:
        small = org.world.create_org()
        project = small.manager.create_project()
        small.member.create_issue(project, title="every single")
        tenant = text("SELECT set_config('app.org_id', :org, true)")
        for id_, place, rounds in ((small.id, project["id"], 12), (org.id, _project(org), 2)):
            system.execute(tenant, {"org": str(id_)})
            for words, ranked, most in product(("single", "every"), (0, 300), (21, None)):
                values = {"words": words, "project": place, "ranked": ranked}
                for _ in range(rounds):
                    read = self._read(system, values, most)
                if words == "single":
                    assert read <= 256 + 2, values


class TestRights:
    @pytest.mark.parametrize(
        "call",
        [
            "walk_project_documents('every'::tsquery, CAST(:project AS uuid), 9)",
            "project_documents_by_index('every'::tsquery, CAST(:project AS uuid), 9)",
            "newest_issue_hits('every'::tsquery, CAST(:project AS uuid), 9, :project)",
            "search_scope(CAST(:project AS uuid))",
        ],
    )
    def test_how_they_are_found_is_no_business_of_the_api(self, org: Org, call: str) -> None:
        with (
            pytest.raises(ProgrammingError) as refused,
            org.world.runtime.db.transaction(org_id=org.id) as session,
        ):
            session.execute(text(f"SELECT {call}"), {"project": str(org.id)})
        assert isinstance(refused.value.orig, InsufficientPrivilege)
