"""Both ways of paging on every list that has them (O6, T9 to T11)."""

import gc
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bugtracker.paging import Sorts
from bugtracker.queries import issues as queries
from tests.world import Caller, Json, Org, World, made, refused

Fill = Callable[[Org, int], str]


def _projects(org: Org, count: int) -> str:
    for n in range(count):
        org.manager.create_project(name=f"Project {n:03}")
    return "/api/projects"


def _issues(org: Org, count: int) -> str:
    project = org.manager.create_project()
    for n in range(count):
        org.member.create_issue(project, title=f"Issue {n:03}")
    return f"/api/projects/{project['id']}/issues"


def _comments(org: Org, count: int) -> str:
    issue = org.member.create_issue(org.manager.create_project())
    for n in range(count):
        org.member.create_comment(issue, f"Comment {n:03}")
    return f"/api/issues/{issue['id']}/comments"


LISTS = [_projects, _issues, _comments]


def read(caller: Caller, path: str, **query: Any) -> Json:
    response = caller.get(path, params=query)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def walk(caller: Caller, path: str, **query: Any) -> list[Json]:
    """Everything of a list, by cursor."""
    page = read(caller, path, **query)
    items: list[Json] = page["items"]
    while page["next_cursor"]:
        page = read(caller, path, **query, cursor=page["next_cursor"])
        items += page["items"]
    return items


def targets(response: httpx.Response) -> dict[str, str]:
    """The Link header: relation → URL."""
    return {link["rel"]: link["url"] for link in response.links.values()}


@pytest.mark.parametrize("fill", LISTS)
class TestCursor:
    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
    def test_yields_everything_once_in_order(self, org: Org, fill: Fill, limit: int) -> None:
        path = fill(org, 5)
        assert walk(org.auditor, path, limit=limit) == read(org.auditor, path)["items"]

    def test_the_last_page_has_none(self, org: Org, fill: Fill) -> None:
        path = fill(org, 4)
        first = read(org.member, path, limit=2)
        assert (len(first["items"]), first["limit"]) == (2, 2)
        last = read(org.member, path, limit=2, cursor=first["next_cursor"])
        assert (len(last["items"]), last["next_cursor"]) == (2, None)

    def test_the_link_header_leads_on(self, org: Org, fill: Fill) -> None:
        path = fill(org, 3)
        response = org.member.get(path, params={"limit": 2, "sort": "created_at"})
        assert set(targets(response)) == {"next"}
        follow = org.member.get(targets(response)["next"])
        both = response.json()["items"] + follow.json()["items"]
        assert both == read(org.member, path, sort="created_at")["items"]
        assert "Link" not in follow.headers

    def test_everything_old_comes_once_while_new_things_are_added(
        self, org: Org, fill: Fill
    ) -> None:
        path = fill(org, 6)
        old = [item["id"] for item in read(org.member, path)["items"]]
        for sort in ("created_at", "-created_at"):
            page = read(org.member, path, limit=2, sort=sort)
            seen = [item["id"] for item in page["items"]]
            while page["next_cursor"]:
                _add_one(org, path)
                page = read(org.member, path, limit=2, sort=sort, cursor=page["next_cursor"])
                seen += [item["id"] for item in page["items"]]
            assert sorted(id for id in seen if id in old) == sorted(old)
            assert len(seen) == len(set(seen))

    def test_the_limit_may_change_on_the_way(self, org: Org, fill: Fill) -> None:
        path = fill(org, 5)
        cursor = read(org.member, path, limit=1)["next_cursor"]
        rest = read(org.member, path, limit=100, cursor=cursor)["items"]
        assert rest == read(org.member, path)["items"][1:]

    def test_belongs_to_its_sort(self, org: Org, fill: Fill) -> None:
        path = fill(org, 2)
        cursor = read(org.member, path, limit=1, sort="created_at")["next_cursor"]
        response = org.member.get(path, params={"sort": "-created_at", "cursor": cursor})
        refused(response, 400, "cursor_invalid")

    def test_belongs_to_its_list_and_organisation(self, world: World, org: Org, fill: Fill) -> None:
        cursor = read(org.member, fill(org, 2), limit=1)["next_cursor"]
        other = world.create_org()
        for make in LISTS:
            response = other.member.get(make(other, 2), params={"cursor": cursor})
            refused(response, 400, "cursor_invalid")

    @pytest.mark.parametrize("damage", [lambda c: c[:-2] + "AA", lambda c: c[2:], lambda c: "x"])
    def test_a_damaged_one_is_refused(self, org: Org, fill: Fill, damage: Any) -> None:
        path = fill(org, 2)
        cursor = damage(read(org.member, path, limit=1)["next_cursor"])
        problem = refused(org.member.get(path, params={"cursor": cursor}), 400, "cursor_invalid")
        assert problem["errors"][0]["parameter"] == "cursor"


def _add_one(org: Org, path: str) -> None:
    body = {"name": f"New {uuid4()}"}
    if path.endswith("/issues"):
        body = {"title": "New"}
    elif path.endswith("/comments"):
        body = {"content": "New"}
    made(org.manager.post(path, body))


@pytest.mark.parametrize("fill", LISTS)
class TestNumberedPages:
    def test_count_and_divide_everything(self, org: Org, fill: Fill) -> None:
        path = fill(org, 5)
        pages = [read(org.member, path, page=n, limit=2) for n in (1, 2, 3)]
        assert [(p["page"], p["total"], p["limit"]) for p in pages] == [
            (1, 5, 2),
            (2, 5, 2),
            (3, 5, 2),
        ]
        assert [p["next_cursor"] for p in pages] == [None, None, None]
        items = [item for page in pages for item in page["items"]]
        assert items == read(org.member, path)["items"]

    def test_beyond_the_last_is_empty(self, org: Org, fill: Fill) -> None:
        response = org.member.get(fill(org, 3), params={"page": 9, "limit": 2})
        assert (response.json()["items"], response.json()["total"]) == ([], 3)
        assert "next" not in targets(response)
        previous = org.member.get(targets(response)["prev"]).json()
        assert (previous["page"], len(previous["items"])) == (2, 1)

    def test_an_empty_list_has_one_empty_page(self, org: Org, fill: Fill) -> None:
        response = org.member.get(fill(org, 0), params={"page": 1})
        body: Json = {"items": [], "next_cursor": None, "limit": 20, "page": 1, "total": 0}
        assert response.json() == body
        assert set(targets(response)) == {"first", "last"}

    def test_link_to_first_previous_next_and_last(self, org: Org, fill: Fill) -> None:
        path = fill(org, 5)
        response = org.member.get(path, params={"page": 2, "limit": 2, "sort": "created_at"})
        links = targets(response)
        assert set(links) == {"first", "prev", "next", "last"}
        expected = walk(org.member, path, sort="created_at")
        found = {rel: org.member.get(url).json()["items"] for rel, url in links.items()}
        assert found["first"] == found["prev"] == expected[:2]
        assert found["next"] == found["last"] == expected[4:]

    def test_exclude_a_cursor(self, org: Org, fill: Fill) -> None:
        path = fill(org, 2)
        cursor = read(org.member, path, limit=1)["next_cursor"]
        response = org.member.get(path, params={"page": 1, "cursor": cursor})
        problem = refused(response, 400, "request_invalid")
        assert problem["errors"][0]["code"] == "exclusive"

    @pytest.mark.parametrize("page", ["0", "-1", "10001", "1.0", "", "one", "+1", "01"])
    def test_other_numbers_are_refused(self, org: Org, fill: Fill, page: str) -> None:
        response = org.member.get(fill(org, 0), params={"page": page})
        assert refused(response, 400, "request_invalid")["errors"][0]["parameter"] == "page"


@pytest.mark.parametrize("fill", LISTS)
class TestLimit:
    @pytest.mark.parametrize("limit", ["0", "101", "-1", "1e1", "", "ten"])
    def test_outside_its_bounds_is_refused(self, org: Org, fill: Fill, limit: str) -> None:
        response = org.member.get(fill(org, 0), params={"limit": limit})
        assert refused(response, 400, "request_invalid")["errors"][0]["parameter"] == "limit"

    def test_is_20_unless_it_is_given(self, org: Org, fill: Fill) -> None:
        path = fill(org, 21)
        assert len(read(org.member, path)["items"]) == read(org.member, path)["limit"] == 20
        assert len(read(org.member, path, limit=100)["items"]) == 21


class TestManyPages:
    def test_links_stay_within_the_pages_that_can_be_asked_for(
        self, world: World, org: Org
    ) -> None:
        project = org.manager.create_project()
        world.copy_issues(org, project, 10_050)
        path = f"/api/projects/{project['id']}/issues"
        for page in (1, 10_000):
            response = org.member.get(path, params={"limit": 1, "page": page})
            assert response.json()["total"] == 10_050
            for url in targets(response).values():
                assert org.member.get(url).status_code == 200

    def test_equal_values_are_divided_by_the_id(self, world: World, org: Org) -> None:
        project = org.manager.create_project()
        world.copy_issues(org, project, 50)
        path = f"/api/projects/{project['id']}/issues"
        for sort in ("priority", "-priority", "created_at", "-updated_at", "status", "-due_date"):
            ids = [item["id"] for item in walk(org.member, path, sort=sort, limit=7)]
            assert ids == sorted(ids, reverse=sort.startswith("-"))
            assert len(ids) == 50


class TestSortIssues:
    SORTS = ("created_at", "updated_at", "priority", "status", "due_date", "number")

    @pytest.mark.parametrize("sort", SORTS)
    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_each_order_walks_both_ways(self, org: Org, sort: str, limit: int) -> None:
        path = self._mixed(org)
        up = walk(org.member, path, sort=sort, limit=limit)
        down = walk(org.member, path, sort=f"-{sort}", limit=limit)
        assert len({item["id"] for item in up}) == 8
        assert up == down[::-1]
        keys = [(self._rank(sort, item), item["id"]) for item in up]
        assert all(first < second for first, second in pairwise(keys))

    def test_numbered_pages_agree_with_the_cursor(self, org: Org) -> None:
        path = self._mixed(org)
        for sort in self.SORTS:
            pages = [read(org.member, path, sort=sort, limit=3, page=n) for n in (1, 2, 3)]
            numbered = [item for page in pages for item in page["items"]]
            assert numbered == walk(org.member, path, sort=sort, limit=3)

    def _mixed(self, org: Org) -> str:
        project = org.manager.create_project()
        begun = ["in_progress", "resolved"]
        ways = [[], begun[:1], begun, [*begun, "closed"], [*begun, "reopened"]]
        priorities = ["critical", "low", "high", "medium", "low"]
        dates = ["2026-05-01", None, "1999-12-31", "9999-12-31", None]
        for way, priority, due in zip(ways, priorities, dates, strict=True):
            issue = org.manager.create_issue(project, priority=priority, due_date=due)
            org.manager.move(issue, *way)
        for due in (None, "2026-05-01", "1000-01-01"):
            org.manager.create_issue(project, due_date=due)
        return f"/api/projects/{project['id']}/issues"

    def _rank(self, sort: str, item: Json) -> Any:
        value = item[sort]
        if sort == "status":
            return ["open", "in_progress", "resolved", "closed", "reopened"].index(value)
        if sort == "priority":
            return ["low", "medium", "high", "critical"].index(value)
        if sort == "due_date":
            return value or "A"  # no date comes after every date
        return value


class TestStatements:
    """Putting a statement together takes longer than running it."""

    SORT = "-created_at"

    def test_of_a_list_is_made_once(self) -> None:
        listed = queries.HERE
        page = queries.SORTS.page(listed, self.SORT, is_behind=False)
        assert queries.SORTS.page(listed, self.SORT, is_behind=False) is page
        others = {
            queries.SORTS.page(listed, self.SORT, is_behind=True),
            queries.SORTS.page(listed, "number", is_behind=False),
            queries.SORTS.page(queries.IN_PROJECT, self.SORT, is_behind=False),
        }
        assert len({page, *others}) == 4

    def test_of_one_request_is_forgotten_with_it(self) -> None:
        sorts = Sorts(queries.SORTS.by, queries.SORTS.identity, self.SORT)
        listed = queries.HERE.where(queries.CONDITIONS["unassigned"])
        gone = weakref.ref(listed), weakref.ref(sorts.page(listed, self.SORT, is_behind=True))
        del listed
        gc.collect()
        assert [ref() for ref in gone] == [None, None]
