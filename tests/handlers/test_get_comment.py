"""One comment by its id (T11, O8, S2)."""

from uuid import uuid4

import httpx
import pytest

from tests.world import Json, Org, World


@pytest.fixture
def comment(org: Org) -> Json:
    issue = org.member.create_issue(org.manager.create_project())
    return org.member.create_comment(issue, "It *drips*.")


def url(comment: Json) -> str:
    return f"/api/comments/{comment['id']}"


def without_id(response: httpx.Response) -> Json:
    return {name: value for name, value in response.json().items() if name != "request_id"}


class TestGetComment:
    def test_answers_with_the_comment_as_it_was_made(self, org: Org, comment: Json) -> None:
        response = org.auditor.get(url(comment))
        assert (response.status_code, response.json()) == (200, comment)
        assert response.headers["Cache-Control"] == "private, no-cache"

    def test_is_where_its_creation_said(self, org: Org) -> None:
        issue = org.member.create_issue(org.manager.create_project())
        created = org.member.post(f"/api/issues/{issue['id']}/comments", {"content": "Seen."})
        assert org.member.get(created.headers["Location"]).json() == created.json()

    def test_shows_an_edit_with_another_tag(self, org: Org, comment: Json) -> None:
        before = org.member.get(url(comment))
        org.member.patch(url(comment), {"content": "It pours."})
        after = org.member.get(url(comment), headers={"If-None-Match": before.headers["ETag"]})
        assert (after.status_code, after.json()["content"]) == (200, "It pours.")
        assert after.json()["version"] == 2

    def test_is_not_sent_again_while_nothing_changes(self, org: Org, comment: Json) -> None:
        tag = org.member.get(url(comment)).headers["ETag"]
        again = org.member.get(url(comment), headers={"If-None-Match": f'"v0-x", {tag}'})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)

    def test_is_rendered_on_request_under_another_tag(self, org: Org, comment: Json) -> None:
        plain = org.member.get(url(comment))
        rendered = org.member.get(url(comment), params={"render": "html"})
        html = {"content_html": "<p>It <em>drips</em>.</p>\n"}
        assert rendered.json() == {**plain.json(), **html}
        assert rendered.headers["ETag"] != plain.headers["ETag"]

    def test_of_an_archived_project_stays_readable(self, org: Org) -> None:
        project = org.manager.create_project()
        comment = org.member.create_comment(org.member.create_issue(project))
        assert org.manager.delete(f"/api/projects/{project['id']}").status_code == 204
        assert org.member.get(url(comment)).json() == comment

    def test_of_another_organisation_is_as_good_as_missing(
        self, world: World, org: Org, comment: Json
    ) -> None:
        foreign = world.create_org().owner.get(url(comment))
        missing = org.owner.get(f"/api/comments/{uuid4()}")
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert without_id(foreign) == without_id(missing)

    def test_needs_a_token(self, anonymous: httpx.Client, comment: Json) -> None:
        assert anonymous.get(url(comment)).status_code == 401

    def test_is_named_by_a_uuid(self, org: Org) -> None:
        response = org.member.get("/api/comments/TLS-1")
        assert response.status_code == 400
        assert response.json()["errors"][0]["parameter"] == "comment_id"
