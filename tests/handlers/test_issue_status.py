"""The status machine (T5) and what closing a critical issue needs (T6)."""

import pytest

from tests.world import Json, Org, World, refused

# From requirements T5.
NEXT = {
    "open": ["in_progress"],
    "in_progress": ["resolved"],
    "resolved": ["closed", "reopened"],
    "closed": ["reopened"],
    "reopened": ["in_progress"],
}
WAY_TO = {
    "open": [],
    "in_progress": ["in_progress"],
    "resolved": ["in_progress", "resolved"],
    "closed": ["in_progress", "resolved", "closed"],
    "reopened": ["in_progress", "resolved", "reopened"],
}
TO_RESOLVED = ("in_progress", "resolved")
PAIRS = [(start, end) for start in NEXT for end in NEXT]


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


class TestChangeStatus:
    @pytest.mark.parametrize(("start", "end"), PAIRS)
    def test_every_pair_is_as_required(
        self, world: World, org: Org, project: Json, start: str, end: str
    ) -> None:
        issue = org.manager.create_issue(project)
        issue = org.manager.move(issue, *WAY_TO[start]) if WAY_TO[start] else issue
        before = len(world.events(org, issue))
        response = org.manager.patch(url(issue), {"status": end})
        if end in NEXT[start]:
            assert response.status_code == 200
            assert (response.json()["status"], response.json()["version"]) == (
                end,
                issue["version"] + 1,
            )
            event = world.events(org, issue)[-1]
            assert (event.action, event.changes) == ("issue.updated", {"status": [start, end]})
        elif end == start:
            assert (response.status_code, response.json()) == (200, issue)
            assert len(world.events(org, issue)) == before
        else:
            problem = refused(response, 409, "issue_transition_not_allowed")
            assert (problem["current_status"], problem["allowed"]) == (start, NEXT[start])
            assert org.manager.get(url(issue)).json() == issue


class TestCloseIssue:
    def test_critical_without_comment_is_refused(
        self, world: World, org: Org, project: Json
    ) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        issue = org.manager.move(issue, *TO_RESOLVED)
        response = org.manager.patch(url(issue), {"status": "closed"})
        refused(response, 409, "issue_comment_required")
        assert org.manager.get(url(issue)).json() == issue
        assert len(world.events(org, issue)) == 3

    def test_critical_with_a_comment_is_closed(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        org.member.create_comment(issue)
        assert org.manager.move(issue, *TO_RESOLVED, "closed")["status"] == "closed"

    def test_a_comment_on_another_issue_does_not_count(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        org.member.create_comment(org.manager.create_issue(project))
        issue = org.manager.move(issue, *TO_RESOLVED)
        response = org.manager.patch(url(issue), {"status": "closed"})
        refused(response, 409, "issue_comment_required")

    @pytest.mark.parametrize("priority", ["low", "medium", "high"])
    def test_others_need_no_comment(self, org: Org, project: Json, priority: str) -> None:
        issue = org.manager.create_issue(project, priority=priority)
        assert org.manager.move(issue, *TO_RESOLVED, "closed")["status"] == "closed"

    def test_closing_while_becoming_critical_is_refused(self, org: Org, project: Json) -> None:
        issue = org.manager.move(org.manager.create_issue(project), *TO_RESOLVED)
        body = {"status": "closed", "priority": "critical"}
        refused(org.manager.patch(url(issue), body), 409, "issue_comment_required")

    def test_closing_while_becoming_less_than_critical_is_allowed(
        self, org: Org, project: Json
    ) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        issue = org.manager.move(issue, *TO_RESOLVED)
        body = {"status": "closed", "priority": "high"}
        assert org.manager.patch(url(issue), body).json()["status"] == "closed"

    def test_a_closed_issue_cannot_become_critical_without_comment(
        self, org: Org, project: Json
    ) -> None:
        issue = org.manager.move(org.manager.create_issue(project), *TO_RESOLVED, "closed")
        body = {"priority": "critical"}
        refused(org.manager.patch(url(issue), body), 409, "issue_comment_required")
        org.member.create_comment(issue)
        assert org.manager.patch(url(issue), body).json()["priority"] == "critical"

    def test_a_reopened_issue_keeps_its_comment(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        org.member.create_comment(issue)
        again = ("reopened", *TO_RESOLVED, "closed")
        assert org.manager.move(issue, *TO_RESOLVED, "closed", *again)["status"] == "closed"

    def test_an_edited_comment_still_counts(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        comment = org.member.create_comment(issue)
        org.member.patch(f"/api/comments/{comment['id']}", {"content": "Fixed."})
        assert org.manager.move(issue, *TO_RESOLVED, "closed")["status"] == "closed"

    def test_the_refusal_of_the_move_comes_before_that_of_the_comment(
        self, org: Org, project: Json
    ) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        response = org.manager.patch(url(issue), {"status": "closed"})
        refused(response, 409, "issue_transition_not_allowed")

    def test_other_fields_of_a_closed_critical_issue_can_change(
        self, org: Org, project: Json
    ) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        org.member.create_comment(issue)
        issue = org.manager.move(issue, *TO_RESOLVED, "closed")
        assert org.manager.patch(url(issue), {"title": "Was wet"}).status_code == 200
