"""Full-text search over title, description and comments, by relevance."""

from typing import Any

import pytest
from sqlalchemy import text

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.importing.bulk import insert_rows
from bugtracker.models import Comment
from tests.world import Json, Org, World, refused

SHORT = "' \" ! !! & | :* a:* :A ( ) <-> <2> - -- -leak or OR \\ \\\\' % $1 ;-- a@b.c o:1 p:* null"
JUNK = [
    *SHORT.split(),
    '"unclosed',
    "|| &&",
    "((((((",
    "- - -",
    "or or or",
    "leak or",
    "%s %(x)s",
    "'; DROP TABLE issues; --",
    "\u2603",
    "\U0001f30a",
    "\u202e",
    "\u0301",
    "\u0130\u0131",
    "'a' & 'b'",
    "x" * 200,
    '" ' * 100,
    "-a " * 66,
    "a or " * 40,
    "https://example.org/a?b=c&d=%20#e",
    "/etc/passwd",
]


def search(org: Org, project: Json, words: str, **query: Any) -> list[str]:
    """Titles of what is found, in order."""
    path = f"/api/projects/{project['id']}/issues"
    response = org.auditor.get(path, params={"search": words, **query})
    assert response.status_code == 200, response.text
    return [item["title"] for item in response.json()["items"]]


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


class TestWhereItLooks:
    def test_in_title_description_and_comments(self, org: Org, project: Json) -> None:
        org.member.create_issue(project, title="A leak")
        org.member.create_issue(project, title="two", description="There is a **leak**.")
        org.member.create_comment(org.member.create_issue(project, title="three"), "It's a leak!")
        org.member.create_issue(project, title="four", description="Nothing of that kind")
        assert search(org, project, "leak") == ["A leak", "two", "three"]

    def test_the_words_may_be_in_different_places(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, title="Pump", description="valve")
        org.member.create_comment(issue, "gasket")
        assert search(org, project, "gasket valve pump") == ["Pump"]
        assert search(org, project, "gasket valve pump hull") == []

    def test_an_edited_issue_is_found_by_its_new_words_only(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, title="Leak", description="water")
        org.member.create_comment(issue, "gasket")
        org.member.patch(url(issue), {"title": "Flood", "description": "brine"})
        found = [search(org, project, w) for w in ("leak", "water", "flood", "brine", "gasket")]
        assert found == [[], [], ["Flood"], ["Flood"], ["Flood"]]

    def test_an_edited_comment_is_found_by_its_new_words_only(
        self, org: Org, project: Json
    ) -> None:
        issue = org.member.create_issue(project, title="Leak", description="water")
        first, _ = [org.member.create_comment(issue, word) for word in ("gasket", "valve")]
        org.member.patch(f"/api/comments/{first['id']}", {"content": "flange"})
        words = ("gasket", "flange", "valve", "leak", "water")
        found = [bool(search(org, project, word)) for word in words]
        assert found == [False, True, True, True, True]

    def test_not_in_what_was_removed_as_unsafe(self, org: Org, project: Json) -> None:
        org.member.create_issue(project, description="<script>gasket</script> valve")
        assert search(org, project, "gasket") == []
        assert len(search(org, project, "valve")) == 1

    def test_not_in_other_projects(self, org: Org, project: Json) -> None:
        other = org.manager.create_project()
        issue = org.member.create_issue(other, title="Leak")
        org.member.create_comment(issue, "gasket")
        assert search(org, project, "leak") == search(org, project, "gasket") == []
        assert search(org, other, "leak") == ["Leak"]

    def test_not_in_other_organisations(self, world: World, org: Org, project: Json) -> None:
        other = world.create_org()
        theirs = other.manager.create_project()
        other.member.create_issue(theirs, title="Leak")
        assert search(org, project, "leak") == []
        path = f"/api/projects/{theirs['id']}/issues"
        response = org.owner.get(path, params={"search": "leak"})
        refused(response, 404, "resource_not_found")
        for words in (f"o:{other.id}", f"'o:{other.id}'", f'"o:{other.id}" or leak'):
            assert search(org, project, words) == []

    def test_the_tenants_mark_of_the_document_is_no_word(self, org: Org, project: Json) -> None:
        org.member.create_issue(project, title="Leak")
        for mark in (f"o:{org.id}", f"p:{project['id']}", project["id"]):
            assert search(org, project, mark) == []


class TestWhatMatches:
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("leaking", True),
            ("leaks", True),
            ("LEAKED", True),
            ("leak", True),
            ("leaky", False),
            ("lea", False),
            ("the leaks", True),
            ("pump room", True),
            ("room pump", True),
            ('"pump room"', True),
            ('"room pump"', False),
            ('"the pump room"', True),
            ("pump -room", False),
            ("pump -galley", True),
            ("galley or pump", True),
            ("galley pump", False),
            ("tide.py", True),
            ("E1234", True),
            ("café", True),
        ],
    )
    def test_words_are_stemmed_and_operators_work(
        self, org: Org, project: Json, words: str, found: bool
    ) -> None:
        org.member.create_issue(
            project, title="Leaking", description="in the pump room, tide.py says E1234 (café)"
        )
        assert search(org, project, words) == (["Leaking"] if found else [])

    @pytest.mark.parametrize("words", ["the", "the and of", '"the"', "-the"])
    def test_only_stop_words_find_nothing(self, org: Org, project: Json, words: str) -> None:
        org.member.create_issue(project, title="The and of")
        assert search(org, project, words) == []

    @pytest.mark.parametrize("words", JUNK, ids=range(len(JUNK)))
    def test_junk_is_just_a_search(self, org: Org, project: Json, words: str) -> None:
        org.member.create_issue(project, title="Leak")
        assert set(search(org, project, words)) <= {"Leak"}
        assert set(search(org, project, words, page=1)) <= {"Leak"}

    @pytest.mark.parametrize("words", ["", " ", "\u2003", "\ufeff", "x" * 201])
    def test_what_the_contract_excludes_is_refused(
        self, org: Org, project: Json, words: str
    ) -> None:
        path = f"/api/projects/{project['id']}/issues"
        response = org.member.get(path, params={"search": words})
        assert refused(response, 400, "request_invalid")["errors"][0]["parameter"] == "search"

    @pytest.mark.parametrize("words", ["leak\tflood", "two\nlines", "nul\x00"])
    def test_control_characters_are_refused(self, org: Org, project: Json, words: str) -> None:
        path = f"/api/projects/{project['id']}/issues"
        response = org.member.get(path, params={"search": words})
        refused(response, 400, "request_malformed")


class TestOrder:
    def _ranked(self, org: Org, project: Json) -> list[str]:
        org.member.create_comment(org.member.create_issue(project, title="in a comment"), "leak")
        org.member.create_issue(project, title="in the description", description="leak")
        org.member.create_issue(project, title="not at all")
        issue = org.member.create_issue(project, title="leak everywhere", description="leak")
        org.member.create_comment(issue, "leak")
        org.member.create_issue(project, title="leak in the title")
        return ["leak everywhere", "leak in the title", "in the description", "in a comment"]

    def test_the_best_comes_first(self, org: Org, project: Json) -> None:
        ranked = self._ranked(org, project)
        assert search(org, project, "leak") == ranked

    def test_another_order_can_be_asked_for(self, org: Org, project: Json) -> None:
        ranked = self._ranked(org, project)
        by_number = search(org, project, "leak", sort="number")
        assert sorted(by_number) == sorted(ranked)
        assert by_number == search(org, project, "leak", sort="-number")[::-1]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    @pytest.mark.parametrize("sort", [None, "-created_at", "priority"])
    def test_a_cursor_yields_everything_once(
        self, org: Org, project: Json, limit: int, sort: str | None
    ) -> None:
        self._ranked(org, project)
        for n in range(3):
            org.member.create_issue(project, title=f"equal {n}", description="leak")
        path = f"/api/projects/{project['id']}/issues"
        query: Json = {"search": "leak", "limit": limit} | ({"sort": sort} if sort else {})
        page = org.member.get(path, params=query).json()
        seen = [item["title"] for item in page["items"]]
        while page["next_cursor"]:
            page = org.member.get(path, params={**query, "cursor": page["next_cursor"]}).json()
            seen += [item["title"] for item in page["items"]]
        assert seen == search(org, project, "leak", **({"sort": sort} if sort else {}))
        assert len(seen) == len(set(seen)) == 7

    def test_numbered_pages_agree(self, org: Org, project: Json) -> None:
        ranked = self._ranked(org, project)
        pages = [search(org, project, "leak", page=n, limit=3) for n in (1, 2)]
        assert pages == [ranked[:3], ranked[3:]]

    def test_a_cursor_of_another_search_is_refused(self, org: Org, project: Json) -> None:
        self._ranked(org, project)
        path = f"/api/projects/{project['id']}/issues"
        query = {"search": "leak", "limit": "1"}
        cursor = org.member.get(path, params=query).json()["next_cursor"]
        for other in ({"search": "leaks", "cursor": cursor}, {"cursor": cursor}):
            refused(org.member.get(path, params=other), 400, "cursor_invalid")


class TestWithFilters:
    def test_all_must_hold(self, org: Org, project: Json) -> None:
        wanted = {"priority": "high", "assignee_id": str(org.developer.id)}
        issue = org.manager.create_issue(project, title="wanted leak", **wanted)
        org.manager.move(issue, "in_progress")
        org.manager.create_issue(project, title="open leak", **wanted)
        org.manager.create_issue(project, title="low leak", assignee_id=wanted["assignee_id"])
        org.manager.create_issue(project, title="nobody's leak", priority="high")
        query = {"status": "in_progress", "priority": "high", "assignee": str(org.developer.id)}
        assert search(org, project, "leak", **query) == ["wanted leak"]
        assert search(org, project, "flood", **query) == []
        query = {"status": "open,resolved", "assignee": "none"}
        assert search(org, project, "leak", **query) == ["nobody's leak"]


class TestHugeIssues:
    def test_a_megabyte_of_words_stops_nobody(self, world: World, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, title="Leak")
        self._flood(world, org, issue)
        comment = org.member.create_comment(issue, "gasket")
        body = {"content": "flange"}
        assert org.member.patch(f"/api/comments/{comment['id']}", body).status_code == 200
        assert org.member.patch(url(issue), {"title": "Flood"}).status_code == 200
        assert search(org, project, "flood") == ["Flood"]
        assert search(org, project, "leak") == []

    def _flood(self, world: World, org: Org, issue: Json) -> None:
        """Comments of words that all differ and have three bytes a letter."""
        now = utc_now()
        letters = [chr(0x4E00 + n) for n in range(20_000)]
        rows = [
            {
                "org_id": org.id,
                "id": new_id(),
                "issue_id": issue["id"],
                "author_id": org.member.id,
                "content": " ".join(
                    letters[n * 7 + k] + letters[k * 11 % 9973] * 6 for k in range(900)
                ),
                "created_at": now,
                "updated_at": now,
                "version": 1,
            }
            for n in range(150)
        ]
        with world.runtime.db.transaction(org_id=org.id) as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            for start in range(0, len(rows), 30):
                insert_rows(session, Comment, rows[start : start + 30])
