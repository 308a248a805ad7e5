"""ETag, If-None-Match and If-Match on items (O8)."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from bugtracker.models import Comment
from tests.world import Caller, Json, Org, World, refused


@pytest.fixture
def issue(org: Org) -> Json:
    return org.manager.create_issue(org.manager.create_project(), description="*Wet*")


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


def etag(caller: Caller, path: str, **query: Any) -> str:
    return caller.get(path, params=query).headers["ETag"]


class TestETag:
    def test_holds_the_version_and_changes_with_it(self, org: Org, issue: Json) -> None:
        first = etag(org.member, url(issue))
        changed = org.manager.patch(url(issue), {"title": "Flood"})
        assert first.startswith('"v1-')
        assert changed.headers["ETag"].startswith('"v2-')
        assert etag(org.member, url(issue)) == changed.headers["ETag"]

    def test_is_the_same_for_everybody_and_by_key(self, org: Org, issue: Json) -> None:
        assert etag(org.member, url(issue)) == etag(org.owner, f"/api/issues/{issue['key']}")

    def test_differs_between_representations_of_one_version(self, org: Org, issue: Json) -> None:
        plain, html = etag(org.member, url(issue)), etag(org.member, url(issue), render="html")
        assert plain != html
        assert plain[:4] == html[:4] == '"v1-'

    def test_items_may_be_kept_but_not_used_unasked(self, org: Org, issue: Json) -> None:
        for path in (url(issue), f"/api/projects/{issue['project_id']}"):
            assert org.member.get(path).headers["Cache-Control"] == "private, no-cache"

    def test_lists_and_errors_have_none(self, org: Org, issue: Json) -> None:
        for path in ("/api/projects", f"{url(issue)}/comments", "/api/issues/NONE-1"):
            response = org.member.get(path)
            assert "ETag" not in response.headers
            assert response.headers["Cache-Control"] == "no-store"


class TestIfNoneMatch:
    @pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",W/{} , "y"', "*"])
    def test_a_current_copy_is_not_sent_again(self, org: Org, issue: Json, form: str) -> None:
        for path in (url(issue), f"/api/projects/{issue['project_id']}"):
            tag = etag(org.member, path)
            response = org.member.get(path, headers={"If-None-Match": form.format(tag)})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["ETag"] == tag
            assert response.headers["Cache-Control"] == "private, no-cache"

    def test_an_old_copy_is_replaced(self, org: Org, issue: Json) -> None:
        tag = etag(org.member, url(issue))
        changed = org.manager.patch(url(issue), {"title": "Flood"}).json()
        response = org.member.get(url(issue), headers={"If-None-Match": tag})
        assert (response.status_code, response.json()) == (200, changed)

    def test_a_copy_of_another_representation_does_not_count(self, org: Org, issue: Json) -> None:
        tag = etag(org.member, url(issue))
        response = org.member.get(
            url(issue), params={"render": "html"}, headers={"If-None-Match": tag}
        )
        assert response.status_code == 200

    def test_head_answers_alike(self, org: Org, issue: Json) -> None:
        tag = etag(org.member, url(issue))
        head = org.member.http.head(url(issue))
        assert (head.status_code, head.headers["ETag"], head.content) == (200, tag, b"")
        head = org.member.http.head(url(issue), headers={"If-None-Match": tag})
        assert head.status_code == 304


def _project(org: Org) -> tuple[str, Json]:
    return f"/api/projects/{org.manager.create_project()['id']}", {"description": "new"}


def _issue(org: Org) -> tuple[str, Json]:
    return url(org.manager.create_issue(org.manager.create_project())), {"title": "new"}


def _comment(org: Org) -> tuple[str, Json]:
    issue = org.manager.create_issue(org.manager.create_project())
    return f"/api/comments/{org.manager.create_comment(issue)['id']}", {"content": "new"}


@pytest.mark.parametrize("make", [_project, _issue, _comment])
class TestIfMatch:
    @pytest.mark.parametrize(
        "form", ['"v1-0000"', '"v1"', 'W/"v1-0000"', '"v9-0", "v1-0"', "*", '"other","v1-0"']
    )
    def test_the_present_version_passes(
        self, org: Org, make: Callable[[Org], tuple[str, Json]], form: str
    ) -> None:
        path, patch = make(org)
        response = org.manager.patch(path, patch, headers={"If-Match": form})
        assert (response.status_code, response.json()["version"]) == (200, 2)

    @pytest.mark.parametrize(
        "form",
        ['"v2-0000"', '"v10-0"', '"v0-0"', '"other"', 'W/"v3"', '"v1x"', '""', '"v999999999"'],
    )
    def test_another_version_is_refused_and_nothing_changes(
        self, org: Org, make: Callable[[Org], tuple[str, Json]], form: str
    ) -> None:
        path, patch = make(org)
        response = org.manager.patch(path, patch, headers={"If-Match": form})
        assert refused(response, 412, "precondition_failed")["current_version"] == 1
        assert org.manager.patch(path, patch).json()["version"] == 2

    def test_the_answer_says_what_changed_since(
        self, org: Org, make: Callable[[Org], tuple[str, Json]]
    ) -> None:
        path, patch = make(org)
        tag = org.manager.patch(path, patch).headers["ETag"]
        [field] = patch
        org.manager.patch(path, {field: "newer"})
        org.manager.patch(path, {field: "newest"})
        problem = refused(
            org.manager.patch(path, {field: "mine"}, headers={"If-Match": tag}),
            412,
            "precondition_failed",
        )
        assert (problem["current_version"], problem["changed_fields"]) == (4, [field])

    @pytest.mark.parametrize("form", ["v1", "1", '"v1', "v1-0000", "W/", "'v1'"])
    def test_what_is_no_tag_is_refused(
        self, org: Org, make: Callable[[Org], tuple[str, Json]], form: str
    ) -> None:
        path, patch = make(org)
        response = org.manager.patch(path, patch, headers={"If-Match": form})
        problem = refused(response, 400, "request_invalid")
        assert problem["errors"][0]["parameter"] == "If-Match"

    def test_no_change_is_still_held_to_it(
        self, org: Org, make: Callable[[Org], tuple[str, Json]]
    ) -> None:
        path, patch = make(org)
        org.manager.patch(path, patch)
        response = org.manager.patch(path, patch, headers={"If-Match": '"v1-0"'})
        refused(response, 412, "precondition_failed")


class TestIfMatchOnArchiving:
    def test_another_version_is_refused_and_the_present_one_passes(self, org: Org) -> None:
        path, _ = _project(org)
        tag = etag(org.manager, path)
        org.manager.patch(path, {"description": "new"})
        response = org.manager.delete(path, headers={"If-Match": tag})
        problem = refused(response, 412, "precondition_failed")
        assert (problem["current_version"], problem["changed_fields"]) == (2, ["description"])
        present = {"If-Match": etag(org.manager, path)}
        assert org.manager.delete(path, headers=present).status_code == 204


class TestChangedFields:
    def test_are_those_after_the_version_that_was_seen(self, org: Org, issue: Json) -> None:
        org.manager.patch(url(issue), {"title": "Flood", "priority": "high"})
        seen = etag(org.manager, url(issue))
        org.manager.patch(url(issue), {"due_date": "2026-01-01"})
        org.manager.patch(url(issue), {"status": "in_progress", "due_date": None})
        org.manager.create_comment(issue)
        response = org.manager.patch(url(issue), {"title": "x"}, headers={"If-Match": seen})
        problem = refused(response, 412, "precondition_failed")
        assert problem["changed_fields"] == ["due_date", "status"]
        assert problem["current_version"] == 4

    def test_a_stranger_learns_nothing(self, world: World, org: Org, issue: Json) -> None:
        stranger = world.create_org().owner
        response = stranger.patch(url(issue), {"title": "x"}, headers={"If-Match": '"v9"'})
        refused(response, 404, "resource_not_found")

    def test_who_may_not_edit_is_told_that_first(self, org: Org, issue: Json) -> None:
        response = org.member.patch(url(issue), {"title": "x"}, headers={"If-Match": '"v9"'})
        refused(response, 403, "permission_denied")


class TestVersion:
    def test_counts_changes_one_by_one(self, world: World, org: Org, issue: Json) -> None:
        comment = org.manager.create_comment(issue)
        for n in range(2, 6):
            path = f"/api/comments/{comment['id']}"
            changed = org.manager.patch(path, {"content": f"No. {n}"}).json()
            assert changed["version"] == n
        with world.runtime.db.transaction(org_id=org.id) as session:
            statement = select(Comment.version).where(Comment.id == UUID(comment["id"]))
            assert session.scalar(statement) == 5
