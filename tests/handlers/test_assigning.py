"""Who can be assigned work, and who may assign it."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from bugtracker.models.organisation import Role
from tests.world import Json, Org, World, refused, without_id

CAN_BE_ASSIGNED: list[Role] = ["developer", "manager", "admin", "owner"]
CANNOT: list[Role] = ["member", "auditor"]


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


def assign(org: Org, issue: Json, user_id: Any) -> httpx.Response:
    return org.manager.patch(url(issue), {"assignee_id": user_id and str(user_id)})


class TestAssignee:
    @pytest.mark.parametrize("role", CAN_BE_ASSIGNED)
    def test_whoever_works_can_be_assigned(self, org: Org, project: Json, role: Role) -> None:
        person = org.caller(role, "assignee")
        issue = org.manager.create_issue(project, assignee_id=str(person.id))
        assert issue["assignee_id"] == str(person.id)
        issue = org.manager.create_issue(project)
        assert assign(org, issue, person.id).json()["assignee_id"] == str(person.id)

    def test_everybody_else_is_refused_alike(self, world: World, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        problems = []
        for user_id in self._others(world, org).values():
            problems.append(refused(assign(org, issue, user_id), 422, "assignee_invalid"))
            body = {"title": "x", "assignee_id": str(user_id)}
            response = org.manager.post(f"/api/projects/{project['id']}/issues", body)
            problems.append(refused(response, 422, "assignee_invalid"))
        assert len(problems) == 16
        assert all(without_id(problem) == without_id(problems[0]) for problem in problems)
        assert problems[0]["errors"][0]["pointer"] == "/assignee_id"
        assert org.manager.get(url(issue)).json() == issue

    def _others(self, world: World, org: Org) -> dict[str, UUID]:
        inactive, removed = org.caller("developer", "inactive"), org.caller("developer", "removed")
        world.deactivate(inactive)
        world.remove(org, removed)
        return {
            "nobody": uuid4(),
            "inactive": inactive.id,
            "removed": removed.id,
            "imported": world.import_person(org, "ghost", "developer"),
            "imported member": world.import_person(org, "ghost2", "member"),
            "stranger": world.create_org().developer.id,
            **{role: org.caller(role, "assignee").id for role in CANNOT},
        }

    def test_who_has_left_stays_until_somebody_changes_it(
        self, world: World, org: Org, project: Json
    ) -> None:
        issue = org.manager.create_issue(project, assignee_id=str(org.developer.id))
        world.remove(org, org.developer)
        body = {"title": "Flood", "assignee_id": str(org.developer.id)}
        assert org.manager.patch(url(issue), body).json()["assignee_id"] == str(org.developer.id)
        assert assign(org, issue, None).json()["assignee_id"] is None
        refused(assign(org, issue, org.developer.id), 422, "assignee_invalid")

    def test_clearing_is_recorded(self, world: World, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, assignee_id=str(org.developer.id))
        assign(org, issue, None)
        event = world.events(org, issue)[-1]
        assert event.changes == {"assignee_id": [str(org.developer.id), None]}


class TestWhoAssigns:
    def test_a_reporter_assigns_somebody(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        body = {"assignee_id": str(org.developer.id)}
        assert org.member.patch(url(issue), body).status_code == 200

    def test_an_assignee_cannot_pass_it_on(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, assignee_id=str(org.developer.id))
        for someone in (None, str(org.caller("developer", "colleague").id)):
            response = org.developer.patch(url(issue), {"assignee_id": someone})
            refused(response, 403, "permission_denied")
        assert org.developer.get(url(issue)).json() == issue

    def test_an_assignee_changes_the_rest_and_may_repeat_the_assignee(
        self, org: Org, project: Json
    ) -> None:
        issue = org.member.create_issue(project, assignee_id=str(org.developer.id))
        body = {"status": "in_progress", "assignee_id": str(org.developer.id)}
        assert org.developer.patch(url(issue), body).json()["status"] == "in_progress"

    def test_one_forbidden_field_forbids_all(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, assignee_id=str(org.developer.id))
        body = {"status": "in_progress", "assignee_id": None}
        refused(org.developer.patch(url(issue), body), 403, "permission_denied")
        assert org.developer.get(url(issue)).json() == issue

    def test_others_cannot_take_an_issue(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        response = org.developer.patch(url(issue), {"assignee_id": str(org.developer.id)})
        refused(response, 403, "permission_denied")
