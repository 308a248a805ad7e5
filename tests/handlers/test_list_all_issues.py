"""Listing the issues of all projects, and filters over HTTP (O5)."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from bugtracker.models import Issue
from tests.timing import within
from tests.world import Caller, Json, Org, World, refused

PATH = "/api/issues"


def titles(caller: Caller, path: str = PATH, **query: Any) -> list[str]:
    response = caller.get(path, params=query)
    assert response.status_code == 200, response.text
    return [item["title"] for item in response.json()["items"]]


@pytest.fixture
def projects(org: Org) -> tuple[Json, Json]:
    """Two projects with two issues each, made in turn: a1, b1, a2, b2."""
    a, b = org.manager.create_project(key="AAA"), org.manager.create_project(key="BBB")
    for n, priority in ((1, "high"), (2, "low")):
        org.member.create_issue(a, title=f"a{n} leak", priority=priority)
        org.developer.create_issue(b, title=f"b{n}", assignee_id=str(org.manager.id))
    return a, b


class TestListAllIssues:
    def test_newest_of_all_projects_come_first(self, org: Org, projects: tuple[Json, Json]) -> None:
        items = org.auditor.get(PATH).json()["items"]
        assert [item["key"] for item in items] == ["BBB-2", "AAA-2", "BBB-1", "AAA-1"]
        assert items[0] == org.auditor.get("/api/issues/BBB-2").json()

    def test_has_the_filters_of_a_projects_list(
        self, org: Org, projects: tuple[Json, Json]
    ) -> None:
        org.manager.move(org.manager.get("/api/issues/BBB-1").json(), "in_progress")
        assert titles(org.member, priority="high") == ["a1 leak"]
        assert titles(org.member, reporter="me", sort="created_at") == ["a1 leak", "a2 leak"]
        assert titles(org.manager, assignee="me", status="in_progress") == ["b1"]
        assert titles(org.member, assignee="none", page=2, limit=1) == ["a1 leak"]

    def test_search_looks_into_all_projects(self, org: Org, projects: tuple[Json, Json]) -> None:
        org.member.create_issue(projects[1], title="b3 leak")
        found = {"a1 leak", "a2 leak", "b3 leak"}
        assert set(titles(org.member, search="leak")) == found
        assert titles(org.member, search="leak", filter="project==BBB") == ["b3 leak"]
        assert titles(org.member, search="leak", status="closed") == []

    @pytest.mark.parametrize("sort", ["created_at", "updated_at", "priority", "status", "due_date"])
    @pytest.mark.parametrize("sign", ["", "-"])
    def test_a_cursor_yields_everything_once(
        self, org: Org, projects: tuple[Json, Json], sort: str, sign: str
    ) -> None:
        query: Json = {"sort": sign + sort, "limit": 1, "filter": "title!=b2"}
        seen, page = [], org.member.get(PATH, params=query).json()
        seen += page["items"]
        while page["next_cursor"]:
            page = org.member.get(PATH, params={**query, "cursor": page["next_cursor"]}).json()
            seen += page["items"]
        assert sorted(item["title"] for item in seen) == ["a1 leak", "a2 leak", "b1"]
        assert seen == org.member.get(PATH, params={**query, "limit": 9}).json()["items"]

    def test_numbers_are_no_order_across_projects(self, org: Org) -> None:
        problem = refused(org.member.get(PATH, params={"sort": "number"}), 400, "request_invalid")
        assert problem["errors"][0]["parameter"] == "sort"

    def test_archived_projects_can_be_left_out(self, org: Org, projects: tuple[Json, Json]) -> None:
        assert org.manager.delete(f"/api/projects/{projects[0]['id']}").status_code == 204
        assert len(titles(org.member)) == 4
        assert titles(org.member, filter="archived==false") == ["b2", "b1"]
        assert titles(org.member, filter="archived==true;priority==low") == ["a2 leak"]

    def test_an_empty_organisation_has_none(self, org: Org) -> None:
        body = org.member.get(PATH, params={"page": 1}).json()
        assert body == {"items": [], "next_cursor": None, "limit": 20, "page": 1, "total": 0}

    @pytest.mark.parametrize(
        "query", ["", "?filter=title==*", "?filter=archived==false", "?search=leak", "?page=1"]
    )
    def test_others_see_nothing_of_it(
        self, world: World, org: Org, projects: tuple[Json, Json], query: str
    ) -> None:
        assert world.create_org().owner.get(PATH + query).json()["items"] == []


class TestFilter:
    def test_goes_with_the_other_parameters(self, org: Org, projects: tuple[Json, Json]) -> None:
        path = f"/api/projects/{projects[0]['id']}/issues"
        assert titles(org.member, path, filter="priority>=low", priority="high") == ["a1 leak"]
        assert titles(org.member, path, filter="title==b*") == []
        page = org.member.get(PATH, params={"filter": "title==a*", "page": 1}).json()
        assert page["total"] == 2

    def test_stays_in_the_links_of_a_page(self, org: Org, projects: tuple[Json, Json]) -> None:
        query = {"filter": "title=='* leak' and title==a*", "limit": 1}
        first = org.member.get(PATH, params=query)
        second = org.member.get(first.links["next"]["url"])
        assert [item["title"] for item in second.json()["items"]] == ["a1 leak"]

    def test_a_cursor_belongs_to_its_filter(self, org: Org, projects: tuple[Json, Json]) -> None:
        query = {"filter": "created_at>=-1d", "limit": 1}
        cursor = org.member.get(PATH, params=query).json()["next_cursor"]
        assert titles(org.member, **query, cursor=cursor) == ["a2 leak"]
        for other in ("created_at>=-2d", "created_at>=-1d "):
            changed = {"filter": other, "cursor": cursor}
            refused(org.member.get(PATH, params=changed), 400, "cursor_invalid")

    def test_me_is_the_caller(self, org: Org, projects: tuple[Json, Json]) -> None:
        assert titles(org.member, filter="reporter==me") == ["a2 leak", "a1 leak"]
        assert titles(org.developer, filter="reporter==me") == ["b2", "b1"]
        assert titles(org.developer, filter='reporter=="me"') == []

    def test_people_are_named_by_username_or_id(
        self, org: Org, projects: tuple[Json, Json]
    ) -> None:
        for name in (org.member.username, org.member.username.upper(), str(org.member.id)):
            assert titles(org.auditor, filter=f"reporter=={name}") == ["a2 leak", "a1 leak"]
        both = f"reporter=in=({org.member.username},{org.developer.id})"
        assert len(titles(org.auditor, filter=both)) == 4

    def test_all_of_one_username_are_meant(self, world: World, org: Org) -> None:
        project = org.manager.create_project()
        twin = world.import_person(org, org.developer.username)
        for _ in range(2):
            issue = org.manager.create_issue(project, assignee_id=str(org.developer.id))
        with world.runtime.db.transaction(org_id=org.id) as session:
            theirs = update(Issue).where(Issue.org_id == org.id, Issue.id == UUID(issue["id"]))
            session.execute(theirs.values(assignee_id=twin))
        assert len(titles(org.member, filter=f"assignee=={org.developer.id}")) == 1
        assert len(titles(org.member, filter=f"assignee=={org.developer.username}")) == 2

    def test_people_and_projects_of_others_select_nothing(
        self, world: World, org: Org, projects: tuple[Json, Json]
    ) -> None:
        other = world.create_org()
        there = other.manager.create_project(key="CCC")
        for text in (
            f"reporter=={other.manager.username}",
            f"reporter=={other.manager.id}",
            "project==CCC",
            f"project=={there['id']}",
            "key==CCC-1",
        ):
            assert titles(org.member, filter=text) == []
            assert len(titles(org.member, filter=text.replace("==", "!="))) == 4

    def test_a_missing_project_is_404_with_any_filter(self, org: Org) -> None:
        path = f"/api/projects/{uuid4()}/issues"
        response = org.member.get(path, params={"filter": "status==open"})
        refused(response, 404, "resource_not_found")

    def test_case_is_folded_beyond_ascii(self, org: Org) -> None:
        org.member.create_issue(org.manager.create_project(), title="Überlauf ÄÖ")
        assert titles(org.member, filter="title==*ÜBER*äö") == ["Überlauf ÄÖ"]


class TestAttacks:
    @pytest.mark.parametrize(
        "name",
        ["password_hash", "org_id", "__class__", "__init__", "version", "description", "email",
         "accounts.email", "issues.org_id", "assignee.email", "assignee_id", "Status", "STATUS",
         "status ", "status\u200b", "id::text", "*", "1", "me", "null", "credentials", "rank"],
    )  # fmt: skip
    def test_what_is_hidden_answers_like_what_is_missing(self, org: Org, name: str) -> None:
        if name == "status ":
            assert titles(org.member, filter=f"{name}==open") == []
            return
        problem = refused(
            org.member.get(PATH, params={"filter": f"{name}==x"}), 400, "filter_invalid"
        )
        missing = refused(
            org.member.get(PATH, params={"filter": "nonsense==x"}), 400, "filter_invalid"
        )
        [error], [expected] = problem["errors"], missing["errors"]
        written = name if name.isprintable() else ascii(name)[1:-1]
        assert error == {
            **expected,
            "detail": expected["detail"].replace("nonsense", written),
        }

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("title==a%00", "request_malformed"),
            ("title==%ff", "request_malformed"),
            ("title==a%0a", "request_malformed"),
            ("", "request_invalid"),
            ("(" * 6000, "request_invalid"),
            ("title=in=(" + "a," * 1500 + "a)", "request_invalid"),
            ("(" * 990 + "id==1" + ")" * 990, "filter_invalid"),
            ("title=in=(" + "a," * 900 + "a)", "filter_invalid"),
            ("title==';DROP TABLE issues;--", "filter_invalid"),
            ("number==1 OR 1=1", "filter_invalid"),
            ("created_at>=99999-01-01", "filter_invalid"),
            ("number==9223372036854775808", "filter_invalid"),
        ],
        ids=lambda part: part[:20],
    )
    def test_are_refused(self, org: Org, text: str, code: str) -> None:
        refused(org.member.get(f"{PATH}?filter={text}"), 400, code)

    @pytest.mark.parametrize(
        "text",
        [
            "created_at>=9999w;created_at<=-9999w",
            "created_at>0001-01-01T00:00:00+23:59;created_at<9999-12-31T23:59:59-23:59",
            "due_date>=0001-01-01;due_date<=9999-12-31",
            "number>-2147483647",
            "title=='; DROP TABLE issues; --'",
            'title=="%\' OR 1=1 --"',
            "title==" + "*a" * 900,
            "title=in=(" + ",".join(["a"] * 100) + ")",
            "assignee=in=(" + ",".join(f"u{n}" for n in range(100)) + ")",
            ";".join(["(status!=open,assignee==x)"] * 10),
            "title==$1;title==:x;title=='%(x)s'",
        ],
        ids=lambda text: text[:20],
    )
    def test_that_are_well_formed_select_nothing_and_harm_nobody(
        self, org: Org, projects: tuple[Json, Json], text: str
    ) -> None:
        response = org.member.get(PATH, params={"filter": text})
        assert response.status_code == 200, response.text
        assert len(titles(org.member)) == 4

    def test_a_thousand_mistakes_are_told_a_hundred(self, org: Org) -> None:
        text = ";".join([f"id=in=({','.join('x' * 100)})"] * 9)
        problem = refused(org.member.get(PATH, params={"filter": text}), 400, "filter_invalid")
        assert len(problem["errors"]) == 100

    def test_a_pattern_of_many_stars_is_quick(self, world: World, org: Org) -> None:
        project = org.manager.create_project()
        org.manager.create_issue(project, title="a" * 200)
        response = org.member.get(PATH, params={"filter": "title==" + "*a" * 199 + "*b"})
        assert response.json()["items"] == []
        assert response.elapsed.total_seconds() < within(1)
