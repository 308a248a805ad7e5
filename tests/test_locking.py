"""Who waits for whom, with the order forced by rows that the test keeps locked."""

from functools import partial
from uuid import UUID

import pytest

from tests.parallel import Call, Standstill
from tests.world import Json, Org, refused


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


class TestArchivingAProject:
    def _writers(self, org: Org, project: Json) -> dict[str, tuple[Call, str, UUID]]:
        """Each kind of writer, and a row that it locks late."""
        issue = org.manager.create_issue(project)
        comment = org.member.create_comment(issue)
        new = {"title": "New", "assignee_id": str(org.developer.id)}
        issue_row = "SELECT FROM issues WHERE id = :id FOR UPDATE"
        return {
            "create issue": (
                partial(org.manager.post, f"/api/projects/{project['id']}/issues", new),
                "SELECT FROM members WHERE user_id = :id FOR UPDATE",
                org.developer.id,
            ),
            "edit issue": (
                partial(org.manager.patch, url(issue), {"title": "Flood"}),
                issue_row,
                UUID(issue["id"]),
            ),
            "add comment": (
                partial(org.member.post, f"{url(issue)}/comments", {"content": "New"}),
                issue_row,
                UUID(issue["id"]),
            ),
            "edit comment": (
                partial(org.member.patch, f"/api/comments/{comment['id']}", {"content": "x"}),
                "SELECT FROM comments WHERE id = :id FOR UPDATE",
                UUID(comment["id"]),
            ),
        }

    @pytest.mark.parametrize("kind", ["create issue", "edit issue", "add comment", "edit comment"])
    def test_the_archive_waits_for_whoever_is_writing(
        self, org: Org, project: Json, still: Standstill, kind: str
    ) -> None:
        write, lock, row_id = self._writers(org, project)[kind]
        still.execute(lock, id=row_id)
        still.send(write)
        archive = still.send(partial(org.manager.delete, f"/api/projects/{project['id']}"))
        assert not archive.done()
        written, archived = still.release()
        assert written.is_success, written.text
        assert archived.status_code == 204

    def test_whoever_comes_after_the_archive_is_refused(
        self, org: Org, project: Json, still: Standstill
    ) -> None:
        writers = self._writers(org, project)
        # As lock_project does: whoever writes into a project waits for nothing less.
        still.execute("SELECT FROM projects WHERE id = :id FOR UPDATE", id=UUID(project["id"]))
        still.execute(
            "UPDATE projects SET is_archived = true WHERE id = :id", id=UUID(project["id"])
        )
        for write, _, _ in writers.values():
            still.send(write)
        for response in still.release():
            assert (response.status_code, response.json()["code"]) == (409, "project_archived")


class TestChangingAProject:
    def test_whoever_waited_sees_what_the_other_did(
        self, org: Org, project: Json, still: Standstill
    ) -> None:
        path = f"/api/projects/{project['id']}"
        tag = {"If-Match": org.manager.get(path).headers["ETag"]}
        still.execute(
            "UPDATE projects SET version = version + 1, description = 'Theirs' WHERE id = :id",
            id=UUID(project["id"]),
        )
        still.send(partial(org.manager.patch, path, {"description": "Mine"}, headers=tag))
        [response] = still.release()
        refused(response, 412, "precondition_failed")
        assert org.manager.get(path).json()["description"] == "Theirs"


class TestCreatingIssues:
    def test_waits_for_nobody_who_edits_or_comments(
        self, org: Org, project: Json, still: Standstill
    ) -> None:
        """Many edits overlap: whoever waited for them would hardly ever get a turn."""
        issue = org.manager.create_issue(project)
        still.execute("SELECT FROM issues WHERE id = :id FOR UPDATE", id=UUID(issue["id"]))
        still.send(partial(org.manager.patch, url(issue), {"title": "Flood"}))
        still.send(partial(org.member.post, f"{url(issue)}/comments", {"content": "New"}))
        assert org.member.create_issue(project)["number"] == 2
        assert all(response.is_success for response in still.release())


class TestClosingACriticalIssue:
    @pytest.mark.parametrize("patch", [{"status": "closed"}, {"priority": "critical"}])
    def test_closing_and_raising_wait_for_each_other(
        self, org: Org, project: Json, still: Standstill, patch: Json
    ) -> None:
        issue = org.manager.move(org.manager.create_issue(project), "in_progress", "resolved")
        other = {"status": 3} if "priority" in patch else {"priority": 3}
        [(column, value)] = other.items()
        still.execute(f"UPDATE issues SET {column} = {value} WHERE id = :id", id=UUID(issue["id"]))
        still.send(partial(org.manager.patch, url(issue), patch))
        [response] = still.release()
        assert response.json()["code"] == "issue_comment_required"


class TestAssigningWhoeverLeaves:
    @pytest.mark.parametrize("change", ["removed_at = now()", "role = 5"])
    def test_who_has_left_or_lost_the_role_is_refused(
        self, org: Org, project: Json, still: Standstill, change: str
    ) -> None:
        issue = org.manager.create_issue(project)
        person = org.developer.id
        body = {"assignee_id": str(person)}
        still.execute(f"UPDATE members SET {change} WHERE user_id = :id", id=person)
        still.send(partial(org.manager.patch, url(issue), body))
        new = {"title": "New", **body}
        still.send(partial(org.manager.post, f"/api/projects/{project['id']}/issues", new))
        for response in still.release():
            assert (response.status_code, response.json()["code"]) == (422, "assignee_invalid")


class TestPurging:
    def test_whoever_comes_after_finds_no_issue(
        self, org: Org, project: Json, still: Standstill
    ) -> None:
        issue = org.member.create_issue(project)
        still.execute("DELETE FROM issues WHERE id = :id", id=UUID(issue["id"]))
        still.send(partial(org.manager.patch, url(issue), {"title": "Gone"}))
        [response] = still.release()
        refused(response, 404, "resource_not_found")
