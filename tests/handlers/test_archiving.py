"""Archiving and unarchiving projects, and what an archived one forbids (T3)."""

from typing import Any

import httpx
import pytest

from tests.world import Caller, Json, Org, World, refused


def url(project: Json) -> str:
    return f"/api/projects/{project['id']}"


def _delete(caller: Caller, project: Json) -> httpx.Response:
    return caller.delete(url(project))


def _patch(caller: Caller, project: Json) -> httpx.Response:
    return caller.patch(url(project), {"is_archived": True})


@pytest.mark.parametrize("archive", [_delete, _patch], ids=["delete", "patch"])
class TestArchiveProject:
    def test_its_creator_archives_it(self, org: Org, archive: Any) -> None:
        project = org.manager.create_project()
        assert archive(org.manager, project).status_code in (200, 204)
        archived = org.member.get(url(project)).json()
        assert (archived["is_archived"], archived["version"]) == (True, 2)

    def test_another_manager_may_not(self, org: Org, archive: Any) -> None:
        project = org.caller("manager", "another").create_project()
        refused(archive(org.manager, project), 403, "permission_denied")
        assert org.manager.get(url(project)).json() == project

    @pytest.mark.parametrize("role", ["admin", "owner"])
    def test_admins_and_owners_archive_any(self, org: Org, archive: Any, role: Any) -> None:
        project = org.manager.create_project()
        assert archive(org.caller(role), project).status_code in (200, 204)
        assert org.member.get(url(project)).json()["is_archived"] is True

    def test_again_is_no_change(self, world: World, org: Org, archive: Any) -> None:
        project = org.manager.create_project()
        first, second = archive(org.manager, project), archive(org.manager, project)
        assert first.status_code == second.status_code
        assert first.content == second.content
        actions = [event.action for event in world.events(org, project)]
        assert actions == ["project.created", "project.archived"]

    def test_unarchiving_brings_it_back(self, world: World, org: Org, archive: Any) -> None:
        project = org.manager.create_project()
        archive(org.manager, project)
        back = org.manager.patch(url(project), {"is_archived": False}).json()
        assert (back["is_archived"], back["version"]) == (False, 3)
        event = world.events(org, project)[-1]
        assert (event.action, event.changes) == (
            "project.unarchived",
            {"is_archived": [True, False]},
        )

    def test_another_manager_may_not_unarchive(self, org: Org, archive: Any) -> None:
        project = org.admin.create_project()
        archive(org.admin, project)
        response = org.manager.patch(url(project), {"is_archived": False})
        refused(response, 403, "permission_denied")

    def test_its_content_stays_readable(self, org: Org, archive: Any) -> None:
        project = org.manager.create_project()
        issue = org.member.create_issue(project)
        comment = org.member.create_comment(issue)
        archive(org.manager, project)
        assert org.auditor.get(f"/api/issues/{issue['key']}").json() == issue
        assert org.auditor.get(f"{url(project)}/issues").json()["items"] == [issue]
        comments = org.auditor.get(f"/api/issues/{issue['id']}/comments").json()
        assert comments["items"] == [comment]
        history = org.auditor.get(f"/api/issues/{issue['id']}/history").json()
        assert [entry["action"] for entry in history["items"]] == ["issue.created"]

    def test_nobody_writes_into_it(self, world: World, org: Org, archive: Any) -> None:
        project = org.manager.create_project()
        issue = org.owner.create_issue(project)
        comment = org.owner.create_comment(issue)
        archive(org.manager, project)
        for response in _writes(org.owner, project, issue, comment):
            refused(response, 409, "project_archived")
        assert len(world.events(org, issue)) == len(world.events(org, comment)) == 1

    def test_unarchived_everybody_writes_again(self, org: Org, archive: Any) -> None:
        project = org.manager.create_project()
        issue = org.owner.create_issue(project)
        comment = org.owner.create_comment(issue)
        archive(org.manager, project)
        org.manager.patch(url(project), {"is_archived": False})
        codes = [r.status_code for r in _writes(org.owner, project, issue, comment)]
        assert codes == [201, 200, 200, 201, 200]


def _writes(caller: Caller, project: Json, issue: Json, comment: Json) -> list[httpx.Response]:
    return [
        caller.post(f"{url(project)}/issues", {"title": "One more"}),
        caller.patch(f"/api/issues/{issue['id']}", {"title": "Other"}),
        caller.patch(f"/api/issues/{issue['key']}", {"status": "in_progress"}),
        caller.post(f"/api/issues/{issue['key']}/comments", {"content": "One more"}),
        caller.patch(f"/api/comments/{comment['id']}", {"content": "Other"}),
    ]


class TestArchiveAndEdit:
    """One PATCH may ask for both; each part needs its own permission."""

    def test_who_may_only_edit_changes_nothing(self, org: Org) -> None:
        project = org.admin.create_project()
        body = {"name": "Renamed", "is_archived": True}
        refused(org.manager.patch(url(project), body), 403, "permission_denied")
        assert org.manager.get(url(project)).json() == project

    def test_who_may_do_both_does_both(self, org: Org) -> None:
        project = org.manager.create_project()
        body = {"name": "Renamed", "is_archived": True}
        changed = org.manager.patch(url(project), body).json()
        assert (changed["name"], changed["is_archived"], changed["version"]) == ("Renamed", True, 2)

    def test_repeating_the_present_state_needs_no_right_to_archive(self, org: Org) -> None:
        project = org.admin.create_project()
        body = {"name": "Renamed", "is_archived": False}
        assert org.manager.patch(url(project), body).status_code == 200

    def test_an_archived_project_can_be_renamed(self, org: Org) -> None:
        project = org.manager.create_project()
        org.manager.delete(url(project))
        assert org.manager.patch(url(project), {"name": "Renamed"}).json()["name"] == "Renamed"


class TestOfSeveralProjects:
    def test_the_archived_one_forbids_changes_of_its_own_issues_only(self, org: Org) -> None:
        projects = [org.manager.create_project() for _ in range(3)]
        issues = [org.member.create_issue(project) for project in projects]
        assert _delete(org.manager, projects[1]).status_code == 204
        answers = [
            org.manager.patch(f"/api/issues/{issue['id']}", {"title": "Other"}) for issue in issues
        ]
        assert [answer.status_code for answer in answers] == [200, 409, 200]
