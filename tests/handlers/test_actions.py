"""What may I do here, and why not: each answer is what happens to whoever tries."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bugtracker.models.organisation import Role
from tests.world import Caller, Json, Org, World, refused, without_id

ROLES: tuple[Role, ...] = ("auditor", "member", "developer", "manager", "admin", "owner")
RELATIONS = ("none", "creator", "reporter", "assignee")
STATES = ("open", "critical", "archived")

TO_STATE: dict[str, tuple[str, ...]] = {
    "open": (),
    "resolved": ("in_progress", "resolved"),
    "critical": ("in_progress", "resolved"),
    "commented": ("in_progress", "resolved"),
    "closed": ("in_progress", "resolved", "closed"),
    "archived": ("in_progress",),
}


class Scene:
    """An issue in a state, with a caller in a relation to it."""

    def __init__(self, world: World, org: Org, role: Role, relation: str) -> None:
        self.world, self.org, self.role, self.relation = world, org, role, relation
        self.caller = org.caller("owner", "caller")
        self.other = org.owner

    def by(self, relation: str) -> Caller:
        return self.caller if relation == self.relation else self.other

    def make(self, state: str) -> Json:
        """A new issue."""
        self.world.set_role(self.org, self.caller, "owner")
        project = self.by("creator").create_project()
        assigned = {"assignee_id": str(self.caller.id)} if self.relation == "assignee" else {}
        priority = "critical" if state in ("critical", "commented") else "medium"
        issue = self.by("reporter").create_issue(project, priority=priority, **assigned)
        if state == "commented":
            self.other.create_comment(issue)
        issue = self.other.move(issue, *TO_STATE[state])
        if state == "archived":
            self.other.delete(f"/api/projects/{project['id']}")
        self.world.set_role(self.org, self.caller, self.role)
        return issue


def try_issue(caller: Caller, action: str, issue: Json, assignee: str) -> httpx.Response:
    """Does it for real."""
    path = f"/api/issues/{issue['id']}"
    if action == "comments.create":
        return caller.post(f"{path}/comments", {"content": "Tried"})
    if action == "issues.assign":
        return caller.patch(path, {"assignee_id": assignee})
    body = {"title": "Tried"} if action == "issues.update" else {"status": action.partition(":")[2]}
    return caller.patch(path, body)


def try_project(caller: Caller, action: str, issue: Json, _: str) -> httpx.Response:
    path = f"/api/projects/{issue['project_id']}"
    if action == "issues.create":
        return caller.post(f"{path}/issues", {"title": "Tried"})
    if action == "projects.update":
        return caller.patch(path, {"description": "Tried"})
    return caller.delete(path)


def actions_of(caller: Caller, path: str) -> list[Json]:
    response = caller.get(f"{path}/actions")
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def issue_path(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


def project_path(issue: Json) -> str:
    return f"/api/projects/{issue['project_id']}"


def assert_told(action: Json, response: httpx.Response, case: Any) -> None:
    """The answer is what came of trying."""
    if action["allowed"]:
        assert response.is_success, (case, action, response.text)
        assert (action["code"], action["reason"]) == (None, None)
    else:
        problem = response.json()
        assert not response.is_success, (case, action)
        assert (action["code"], action["reason"]) == (problem["code"], problem["detail"]), case


class TestEveryAction:
    @pytest.mark.parametrize("relation", RELATIONS)
    @pytest.mark.parametrize("role", ROLES)
    def test_of_an_issue_is_what_happens(
        self, world: World, org: Org, role: Role, relation: str
    ) -> None:
        scene = Scene(world, org, role, relation)
        for state in STATES:
            names = self._compare(scene, state, issue_path, try_issue)
            assert len(names) == 7

    @pytest.mark.parametrize("state", TO_STATE)
    def test_of_an_issue_in_each_state_is_what_happens(
        self, world: World, org: Org, state: str
    ) -> None:
        self._compare(Scene(world, org, "manager", "none"), state, issue_path, try_issue)

    @pytest.mark.parametrize("relation", ["none", "creator"])
    @pytest.mark.parametrize("role", ROLES)
    def test_of_a_project_is_what_happens(
        self, world: World, org: Org, role: Role, relation: str
    ) -> None:
        scene = Scene(world, org, role, relation)
        for state in ("open", "archived"):
            names = self._compare(scene, state, project_path, try_project)
            assert names == ["projects.update", "projects.archive", "issues.create"]

    def _compare(
        self,
        scene: Scene,
        state: str,
        path: Callable[[Json], str],
        attempt: Callable[[Caller, str, Json, str], httpx.Response],
    ) -> list[str]:
        caller, assignee = scene.caller, str(scene.org.developer.id)
        issue = scene.make(state)
        found = actions_of(caller, path(issue))
        for number in range(len(found)):
            response = attempt(caller, found[number]["action"], issue, assignee)
            assert_told(found[number], response, (state, scene.role, scene.relation))
            if response.is_success:
                issue = scene.make(state)
                found = actions_of(caller, path(issue))
        return [told["action"] for told in found]


class TestListIssueActions:
    def test_says_why_a_critical_issue_cannot_be_closed(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, priority="critical")
        org.manager.move(issue, "in_progress", "resolved")
        told = {item["action"]: item for item in actions_of(org.manager, issue_path(issue))}
        assert told["transition:closed"] == {
            "action": "transition:closed",
            "allowed": False,
            "code": "issue_comment_required",
            "reason": "Say in a comment how it was solved, then close it.",
        }
        org.member.create_comment(issue)
        told = {item["action"]: item for item in actions_of(org.manager, issue_path(issue))}
        assert told["transition:closed"]["allowed"] is True

    def test_answers_for_a_key_too(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        by_key = actions_of(org.member, f"/api/issues/{issue['key']}")
        assert by_key == actions_of(org.member, issue_path(issue))

    @pytest.mark.parametrize("kind", ["issues", "projects"])
    def test_foreign_and_missing_things_are_alike(self, world: World, org: Org, kind: str) -> None:
        stranger = world.create_org().manager
        issue = stranger.create_issue(stranger.create_project())
        theirs = issue["id"] if kind == "issues" else issue["project_id"]
        problems = [
            without_id(
                refused(org.owner.get(f"/api/{kind}/{id_}/actions"), 404, "resource_not_found")
            )
            for id_ in (theirs, uuid4())
        ]
        assert problems[0] == problems[1]
