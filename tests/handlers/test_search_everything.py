"""GET /api/search: projects, issues, comments and people, best first, with highlighted excerpts."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world import Caller, Json, Org, World, refused

PATH = "/api/search"


def found(caller: Caller, words: str, **query: Any) -> list[Json]:
    """What a search finds, in order."""
    response = caller.get(PATH, params={"q": words, **query})
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def titles(caller: Caller, words: str, **query: Any) -> list[tuple[str, str]]:
    return [(item["type"], item["title"]) for item in found(caller, words, **query)]


def marked(item: Json) -> str:
    """The snippet, with brackets around what is highlighted."""
    return "".join(f"[{s['text']}]" if s["highlighted"] else s["text"] for s in item["snippet"])


@pytest.fixture
def leaks(org: Org) -> dict[str, Json]:
    """A project, an issue and a comment with the same word; and somebody named so."""
    project = org.manager.create_project(name="Leak watch", key="LW", description="Of all leaks.")
    text = "Before dawn.\n\nWater in the **pump room**: it is leaking, says tide.py"
    issue = org.member.create_issue(project, title="Flood at night", description=text)
    other = org.member.create_issue(project, title="Leaks everywhere")
    comment = org.member.create_comment(other, "Nobody can find the leak")
    org.world.import_person(org, "leakeater")
    return {"project": project, "issue": issue, "other": other, "comment": comment}


class TestWhatItFinds:
    def test_is_of_every_type_with_the_way_to_it(self, org: Org, leaks: dict[str, Json]) -> None:
        items = found(org.auditor, "leak")
        kinds = ["project", "user", "issue", "issue", "comment"]
        assert [item["type"] for item in items] == kinds
        project, user, other, issue, comment = items
        assert (user["title"], user["project_id"], user["issue_id"]) == ("leakeater", None, None)
        assert (project["id"], project["project_key"]) == (leaks["project"]["id"], "LW")
        assert (issue["id"], issue["issue_key"]) == (leaks["issue"]["id"], "LW-1")
        assert (other["title"], other["issue_id"]) == ("Leaks everywhere", leaks["other"]["id"])
        assert (comment["id"], comment["title"]) == (leaks["comment"]["id"], "Leaks everywhere")
        assert (comment["issue_id"], comment["issue_key"]) == (leaks["other"]["id"], "LW-2")
        for item in items:
            assert org.auditor.get(item["url"]).json()["id"] == item["id"]

    def test_is_shown_with_the_words_highlighted(self, org: Org, leaks: dict[str, Json]) -> None:
        assert [marked(item) for item in found(org.auditor, "leak")] == [
            "LW · [Leak] watch · Of all [leak]s.",
            "[leak]eater",
            "[Leaks] everywhere",
            "Before dawn.\n\nWater in the **pump room**: it is [leaking], says tide.py",
            "Nobody can find the [leak]",
        ]

    def test_is_only_of_the_types_asked_for(self, org: Org, leaks: dict[str, Json]) -> None:
        items = found(org.auditor, "leak", type="comment,project")
        assert [item["type"] for item in items] == ["project", "comment"]

    def test_are_issues_by_their_own_words_and_comments_by_theirs(
        self, org: Org, leaks: dict[str, Json]
    ) -> None:
        assert [item["type"] for item in found(org.auditor, "nobody")] == ["comment"]
        assert titles(org.auditor, "everywhere") == [("issue", "Leaks everywhere")]
        assert found(org.auditor, "everywhere nobody") == []
        assert titles(org.auditor, "flood pump") == [("issue", "Flood at night")]
        assert titles(org.auditor, '"pump room" -dawn or nobody') == [
            ("comment", "Leaks everywhere")
        ]

    def test_follows_edits(self, org: Org, leaks: dict[str, Json]) -> None:
        url = f"/api/comments/{leaks['comment']['id']}"
        assert org.member.patch(url, {"content": "A gasket"}).status_code == 200
        assert found(org.auditor, "nobody") == []
        [item] = found(org.auditor, "gaskets")
        assert (item["id"], marked(item)) == (leaks["comment"]["id"], "A [gasket]")

    def test_is_the_issue_of_a_key_first(self, org: Org, leaks: dict[str, Json]) -> None:
        org.member.create_issue(leaks["project"], title="Like LW-1", description="lw-1")
        for key in ("LW-1", "lw-1", " LW-1 "):
            first, *rest = found(org.auditor, key)
            assert (first["id"], first["score"]) == (leaks["issue"]["id"], 1)
            assert [item["title"] for item in rest] == ["Like LW-1"]
        assert found(org.auditor, "LW-99", type="issue") == []
        assert found(org.auditor, "LW-1", type="comment") == []

    def test_are_people_by_name_and_address_but_no_longer_when_removed(self, org: Org) -> None:
        person = org.developer
        for words in (person.username, person.email, person.username[:-3].upper()):
            assert [item["id"] for item in found(org.auditor, words)] == [str(person.id)]
        org.world.remove(org, person)
        assert found(org.auditor, person.username) == []

    def test_is_not_in_archived_projects_unless_asked_for(
        self, org: Org, leaks: dict[str, Json]
    ) -> None:
        everything = found(org.auditor, "leak"), found(org.auditor, "LW-1")
        assert org.admin.delete(f"/api/projects/{leaks['project']['id']}").status_code == 204
        assert [item["type"] for item in found(org.auditor, "leak")] == ["user"]
        assert found(org.auditor, "LW-1") == []
        again = (found(org.auditor, words, archived="true") for words in ("leak", "LW-1"))
        assert tuple(again) == everything

    def test_is_never_of_another_organisation(
        self, world: World, org: Org, leaks: dict[str, Json]
    ) -> None:
        stranger = world.create_org().owner
        words = ["leak", "LW-1", org.member.username, f"o:{org.id}", f"'o:{org.id}' or leak"]
        for each in words:
            assert found(stranger, each, archived="true") == []


class TestKeys:
    """An API key searches what its scopes let it read."""

    def test_leaves_out_what_it_may_not_read(
        self, world: World, org: Org, leaks: dict[str, Json]
    ) -> None:
        with world.with_key(org.owner.create_api_key("issues.read", "users.read")) as client:
            response = client.get(PATH, params={"q": "leak"})
            assert {item["type"] for item in response.json()["items"]} == {"issue", "user"}
            for kind, scope in (("comment", "comments.read"), ("issue,project", "projects.read")):
                response = client.get(PATH, params={"q": "leak", "type": kind})
                assert scope in refused(response, 403, "permission_denied")["detail"]


class TestOrder:
    def _fill(self, org: Org) -> None:
        project = org.manager.create_project(name="Leaks")
        for n in range(4):
            issue = org.member.create_issue(project, title=f"leak {n}", description="leak " * n)
            for _ in range(2):
                org.member.create_comment(issue, "leak")

    @pytest.mark.parametrize("limit", [1, 5])
    def test_is_total_and_a_cursor_yields_everything_once(self, org: Org, limit: int) -> None:
        self._fill(org)
        whole = found(org.auditor, "leak", limit=100)
        scores = [item["score"] for item in whole]
        assert scores == sorted(scores, reverse=True)
        assert len({item["id"] for item in whole}) == len(whole) == 13
        seen, cursor = [], None
        while cursor is not None or not seen:
            query = {"q": "leak", "limit": limit} | ({"cursor": cursor} if cursor else {})
            page = org.auditor.get(PATH, params=query).json()
            seen, cursor = seen + page["items"], page["next_cursor"]
        assert seen == whole

    def test_a_cursor_of_another_search_is_refused(self, org: Org) -> None:
        self._fill(org)
        cursor = org.auditor.get(PATH, params={"q": "leak", "limit": 1}).json()["next_cursor"]
        for other in ({"q": "leaks"}, {"q": "leak", "type": "issue"}):
            response = org.auditor.get(PATH, params={**other, "cursor": cursor})
            refused(response, 400, "cursor_invalid")

    @pytest.mark.parametrize("query", [{}, {"q": " "}, {"q": "x" * 201}, {"q": "a", "type": "x"}])
    def test_what_the_contract_excludes_is_refused(self, org: Org, query: Json) -> None:
        refused(org.auditor.get(PATH, params=query), 400, "request_invalid")


class TestSnippets:
    def test_cannot_be_forged(self, org: Org, project: Json) -> None:
        for text in ("\x02forged\x03 leak", "\x03\x02 <b>forged</b> leak \x02", "\x02\x02leak\x02"):
            org.member.create_comment(org.member.create_issue(project, description=text), text)
        items = found(org.auditor, "leak")
        assert len(items) == 6
        for item in items:
            highlighted = [segment["text"] for segment in item["snippet"] if segment["highlighted"]]
            assert highlighted == ["leak"], item
            assert not {"\x02", "\x03"} & set(marked(item))

    def test_of_a_long_text_are_short_and_show_the_word(self, org: Org, project: Json) -> None:
        texts = ["dry " * 400 + "leak" + " dry" * 90, "d" * 900 + "; leak; " + "d" * 900]
        for text in texts:
            org.member.create_comment(org.member.create_issue(project), text)
        org.manager.create_project(description="d" * 900 + "leak")
        for item in found(org.auditor, "leak"):
            assert "[leak]" in marked(item)
            assert sum(len(segment["text"]) for segment in item["snippet"]) <= 500


PIECES = st.sampled_from(
    ["leak", "or", "-", '"', "'", "%", "_", "\\", "&", "|", "!", ":*", "(", ")", "<->", "the", "a",
     "é", "\U0001f30a", "\u202e", "\u0301", "\u0130", "ß", "$1", "o:1", "LW-1", "/", "//", ".", "*",
     "a@b.c", "https://x.y/z?a=b", "[", "^", "+", "{", "x" * 60, "\ufeff", "\u00ad", "☃"]
)  # fmt: skip
QUERIES = st.one_of(
    st.lists(PIECES, min_size=1, max_size=40).map(" ".join),
    st.lists(PIECES, min_size=1, max_size=40).map("".join),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
).filter(lambda text: text[:200].strip() != "")


class TestAnyWords:
    def test_are_just_a_search(self, org: Org, leaks: dict[str, Json]) -> None:
        text = "".join(chr(n) for n in range(32, 400)) + " leak or the 'a' \\ % o:1"
        org.member.create_comment(leaks["issue"], text)

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(QUERIES)
        def ask(words: str) -> None:
            response = org.auditor.get(PATH, params={"q": words[:200], "archived": "true"})
            assert response.status_code in (200, 400), response.text
            if response.status_code == 400:
                refused(response, 400, "request_invalid")
            else:
                for item in response.json()["items"]:
                    assert 0 <= item["score"] <= 1

        ask()
        for words in ("-a " * 66, '" ' * 100, "a or " * 40, "!" * 200, "%" * 200, "( " * 100):
            found(org.auditor, words)
