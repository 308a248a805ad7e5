"""The filters of a project's issues (T10)."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.world import Json, Org, World, refused, without_id


@pytest.fixture
def project(org: Org) -> Json:
    """With an issue in each status but reopened, of all priorities, of two people."""
    project = org.manager.create_project()
    developer = {"assignee_id": str(org.developer.id)}
    org.member.create_issue(project, title="open", priority="low")
    begun = org.manager.create_issue(project, title="begun", **developer)
    org.manager.move(begun, "in_progress")
    solved = org.member.create_issue(project, title="solved", priority="high", **developer)
    org.manager.move(solved, "in_progress", "resolved")
    mine = {"priority": "critical", "assignee_id": str(org.manager.id)}
    closed = org.manager.create_issue(project, title="closed", **mine)
    org.manager.create_comment(closed)
    org.manager.move(closed, "in_progress", "resolved", "closed")
    return project


def titles(org: Org, project: Json, **query: Any) -> set[str]:
    path = f"/api/projects/{project['id']}/issues"
    response = org.manager.get(path, params=query)
    assert response.status_code == 200, response.text
    return {item["title"] for item in response.json()["items"]}


class TestListIssues:
    def test_newest_comes_first(self, org: Org, project: Json) -> None:
        items = org.auditor.get(f"/api/projects/{project['id']}/issues").json()["items"]
        assert [item["title"] for item in items] == ["closed", "solved", "begun", "open"]
        assert items[0] == org.auditor.get(f"/api/issues/{items[0]['key']}").json()

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"status": "open"}, "open"),
            ({"status": "open,closed"}, "open closed"),
            (
                {"status": "open,in_progress,resolved,closed,reopened"},
                "open begun solved closed",
            ),
            ({"status": "reopened"}, ""),
            ({"priority": "medium"}, "begun"),
            ({"priority": "critical,low"}, "closed open"),
            ({"assignee": "me"}, "closed"),
            ({"assignee": "none"}, "open"),
            ({"assignee": str(UUID(int=9))}, ""),
            ({"reporter": "me"}, "begun closed"),
            ({"reporter": "me", "assignee": "me"}, "closed"),
            ({"status": "open,resolved", "priority": "high,critical"}, "solved"),
            ({"status": "resolved", "assignee": "none"}, ""),
        ],
        ids=str,
    )
    def test_every_filter_must_hold(
        self, org: Org, project: Json, query: Json, expected: str
    ) -> None:
        assert titles(org, project, **query) == set(expected.split())
        page = org.manager.get(
            f"/api/projects/{project['id']}/issues", params={**query, "page": 1}
        ).json()
        assert page["total"] == len(expected.split())

    def test_people_are_named_by_id(self, org: Org, project: Json) -> None:
        assert titles(org, project, assignee=str(org.developer.id)) == {"begun", "solved"}
        assert titles(org, project, assignee=str(org.developer.id).upper()) == {"begun", "solved"}
        assert titles(org, project, reporter=str(org.member.id)) == {"open", "solved"}

    @pytest.mark.parametrize(
        "query",
        [
            "status=done",
            "status=",
            "status=open,",
            "status=open,open",
            "status=Open",
            "priority=urgent",
            "assignee=nobody",
            "assignee=",
            "reporter=none",
            "sort=title",
            "sort=relevance",
            "sort=-relevance",
            "is_archived=false",
            "render=text",
        ],
    )
    def test_what_the_contract_does_not_know_is_refused(
        self, org: Org, project: Json, query: str
    ) -> None:
        response = org.manager.get(f"/api/projects/{project['id']}/issues?{query}")
        problem = refused(response, 400, "request_invalid")
        assert {error["parameter"] for error in problem["errors"]} == {query.partition("=")[0]}

    def test_html_comes_on_request_only(self, org: Org) -> None:
        project = org.manager.create_project()
        issue = org.manager.create_issue(project, description="*Wet*")
        path = f"/api/projects/{project['id']}/issues"
        assert org.member.get(path).json()["items"] == [issue]
        html = {**issue, "description_html": "<p><em>Wet</em></p>\n"}
        assert org.member.get(path, params={"render": "html"}).json()["items"] == [html]

    def test_only_those_of_the_project_are_listed(self, org: Org, project: Json) -> None:
        other = org.manager.create_project()
        org.member.create_issue(other, title="other")
        assert titles(org, other) == {"other"}
        assert "other" not in titles(org, project)

    @pytest.mark.parametrize("query", ["", "?page=1", "?search=open", "?status=open&page=2"])
    def test_another_organisations_project_is_like_a_missing_one(
        self, world: World, org: Org, project: Json, query: str
    ) -> None:
        stranger = world.create_org().owner
        foreign, missing = (
            refused(stranger.get(f"/api/projects/{id}/issues{query}"), 404, "resource_not_found")
            for id in (project["id"], uuid4())
        )
        assert without_id(foreign) == without_id(missing)
