"""The history of an issue: field, old, new, who, when."""

from uuid import UUID, uuid4

import pytest

from tests.world import Json, Org, World, refused, without_id


@pytest.fixture
def issue(org: Org) -> Json:
    return org.member.create_issue(org.manager.create_project(), title="Leak", priority="low")


def history(org: Org, issue: Json, **query: str) -> list[Json]:
    response = org.auditor.get(f"/api/issues/{issue['id']}/history", params=query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def changes(entry: Json) -> dict[str, tuple[object, object]]:
    return {change["field"]: (change["old"], change["new"]) for change in entry["changes"]}


class TestListIssueHistory:
    def test_begins_with_the_creation_and_what_was_given(self, org: Org, issue: Json) -> None:
        [entry] = history(org, issue)
        assert (entry["action"], entry["version"]) == ("issue.created", 1)
        assert entry["created_at"] == issue["created_at"]
        assert entry["actor"] == {
            "id": str(org.member.id),
            "username": org.member.username,
            "name": None,
        }
        assert changes(entry) == {
            "title": (None, "Leak"),
            "description": (None, ""),
            "status": (None, "open"),
            "priority": (None, "low"),
        }

    def test_one_patch_is_one_entry_with_every_field(self, org: Org, issue: Json) -> None:
        body = {
            "title": "Flood",
            "description": "Water",
            "status": "in_progress",
            "priority": "critical",
            "assignee_id": str(org.developer.id),
            "due_date": "2026-03-01",
        }
        org.manager.patch(f"/api/issues/{issue['id']}", body)
        entry = history(org, issue)[-1]
        assert (entry["action"], entry["version"]) == ("issue.updated", 2)
        assert entry["actor"]["id"] == str(org.manager.id)
        assert changes(entry) == {name: (issue[name], new) for name, new in body.items()}

    def test_has_only_what_really_changed(self, org: Org, issue: Json) -> None:
        org.member.patch(f"/api/issues/{issue['id']}", {"title": "Leak", "priority": "high"})
        assert changes(history(org, issue)[-1]) == {"priority": ("low", "high")}

    def test_no_change_is_no_entry(self, org: Org, issue: Json) -> None:
        org.member.patch(f"/api/issues/{issue['id']}", {"title": "Leak"})
        assert len(history(org, issue)) == 1

    def test_a_refused_change_is_no_entry(self, org: Org, issue: Json) -> None:
        org.member.patch(f"/api/issues/{issue['id']}", {"status": "closed"})
        assert len(history(org, issue)) == 1

    def test_versions_follow_each_other_either_way(self, org: Org, issue: Json) -> None:
        org.manager.move(issue, "in_progress", "resolved", "closed", "reopened")
        assert [entry["version"] for entry in history(org, issue)] == [1, 2, 3, 4, 5]
        latest_first = history(org, issue, sort="-created_at")
        assert [entry["version"] for entry in latest_first] == [5, 4, 3, 2, 1]

    def test_comments_and_other_issues_are_not_in_it(self, org: Org, issue: Json) -> None:
        org.member.create_comment(issue)
        org.member.create_issue({"id": issue["project_id"]})
        assert [entry["action"] for entry in history(org, issue)] == ["issue.created"]

    def test_is_found_by_key_too(self, org: Org, issue: Json) -> None:
        assert history(org, {"id": issue["key"]}) == history(org, issue)

    def test_who_has_left_is_still_named(self, world: World, org: Org, issue: Json) -> None:
        before = history(org, issue)
        world.remove(org, org.member)
        assert history(org, issue) == before

    def test_is_read_by_cursor_to_its_end(self, org: Org, issue: Json) -> None:
        org.manager.move(issue, "in_progress", "resolved", "closed", "reopened")
        path, versions = f"/api/issues/{issue['id']}/history", []
        query = {"limit": "2"}
        while query.get("cursor", "first"):
            page = org.auditor.get(path, params=query).json()
            versions += [entry["version"] for entry in page["items"]]
            query["cursor"] = page["next_cursor"]
        assert versions == [1, 2, 3, 4, 5]

    def test_has_no_numbered_pages(self, org: Org, issue: Json) -> None:
        response = org.member.get(f"/api/issues/{issue['id']}/history", params={"page": "1"})
        refused(response, 400, "request_invalid")

    def test_another_organisations_issue_is_like_a_missing_one(
        self, world: World, org: Org, issue: Json
    ) -> None:
        stranger = world.create_org().owner
        foreign, missing = (
            refused(stranger.get(f"/api/issues/{id}/history"), 404, "resource_not_found")
            for id in (issue["id"], uuid4())
        )
        assert without_id(foreign) == without_id(missing)


class TestEvents:
    def test_carry_the_id_of_the_request(self, world: World, org: Org, issue: Json) -> None:
        body, mine = {"title": "Flood"}, {"X-Request-Id": "my-request-0001"}
        org.member.patch(f"/api/issues/{issue['id']}", body, headers=mine)
        assert world.events(org, issue)[-1].request_id == "my-request-0001"

    def test_name_project_and_issue(self, world: World, org: Org, issue: Json) -> None:
        comment = org.member.create_comment(issue)
        for thing in (issue, comment):
            [event] = world.events(org, thing)
            assert event.project_id == UUID(issue["project_id"])
            assert event.issue_id == UUID(issue["id"])
