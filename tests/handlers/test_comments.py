"""Comments: list, add, edit; nobody deletes one (T7, T11, S2)."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from bugtracker.models.organisation import Role
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.world import Json, Org, World, refused, without_id

DIRTY = "See <img src=x onerror=alert(1)> this:\n\n```html\n<img src=x onerror=alert(1)>\n```\n"
CLEAN = "See  this:\n\n```html\n<img src=x onerror=alert(1)>\n```\n"


@pytest.fixture
def issue(org: Org) -> Json:
    return org.member.create_issue(org.manager.create_project())


def url(comment: Json) -> str:
    return f"/api/comments/{comment['id']}"


def comments_of(issue: Json) -> str:
    return f"/api/issues/{issue['id']}/comments"


class TestCreateComment:
    def test_answers_with_the_comment(self, org: Org, issue: Json) -> None:
        response = org.member.post(comments_of(issue), {"content": "It *drips*."})
        comment = response.json()
        assert response.status_code == 201
        assert response.headers["Location"] == url(comment)
        assert {
            k: v for k, v in comment.items() if k not in ("id", "created_at", "updated_at")
        } == {
            "issue_id": issue["id"],
            "author_id": str(org.member.id),
            "content": "It *drips*.",
            "version": 1,
        }
        assert org.auditor.get(comments_of(issue)).json()["items"] == [comment]

    def test_the_issue_may_be_named_by_its_key(self, org: Org, issue: Json) -> None:
        response = org.member.post(f"/api/issues/{issue['key']}/comments", {"content": "x"})
        assert response.json()["issue_id"] == issue["id"]

    def test_active_html_is_removed_and_code_kept(self, org: Org, issue: Json) -> None:
        assert org.member.create_comment(issue, DIRTY)["content"] == CLEAN

    @pytest.mark.parametrize("content", ["<script>alert(1)</script>", "<!-- -->", " <svg/> \n"])
    def test_nothing_but_active_html_is_refused(self, org: Org, issue: Json, content: str) -> None:
        response = org.member.post(comments_of(issue), {"content": content})
        problem = refused(response, 422, "content_invalid")
        assert problem["errors"][0]["pointer"] == "/content"
        assert org.member.get(comments_of(issue)).json()["items"] == []

    @pytest.mark.parametrize("content", ["x", "ü" * 2000, "\U0001f30a" * 2000])
    def test_all_lengths_up_to_the_limit_are_kept(
        self, org: Org, issue: Json, content: str
    ) -> None:
        assert org.member.create_comment(issue, content)["content"] == content

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"content": ""},
            {"content": " \n\t"},
            {"content": "x" * 2001},
            {"content": "nul\x00"},
            {"content": None},
            {"content": "x", "author_id": str(UUID(int=1))},
        ],
        ids=range(7),
    )
    def test_other_bodies_are_refused(self, org: Org, issue: Json, body: Any) -> None:
        refused(org.member.post(comments_of(issue), body), 400, "request_invalid")

    def test_leaves_the_issue_as_it_is(self, org: Org, issue: Json) -> None:
        org.member.create_comment(issue)
        assert org.member.get(f"/api/issues/{issue['id']}").json() == issue

    def test_is_recorded_as_an_event(self, world: World, org: Org, issue: Json) -> None:
        comment = org.developer.create_comment(issue, "Seen.")
        [event] = world.events(org, comment)
        assert (event.action, event.actor_id, event.issue_id) == (
            "comment.created",
            org.developer.id,
            UUID(issue["id"]),
        )
        assert event.changes == {"content": [None, "Seen."]}

    def test_another_organisations_issue_is_like_a_missing_one(
        self, world: World, org: Org, issue: Json
    ) -> None:
        stranger = world.create_org().owner
        foreign, missing = (
            refused(
                stranger.post(f"/api/issues/{id}/comments", {"content": "x"}),
                404,
                "resource_not_found",
            )
            for id in (issue["id"], uuid4())
        )
        assert without_id(foreign) == without_id(missing)
        assert org.member.get(comments_of(issue)).json()["items"] == []


class TestListComments:
    def test_oldest_comes_first_or_last(self, org: Org, issue: Json) -> None:
        comments = [org.member.create_comment(issue, f"No. {n}") for n in range(3)]
        assert org.auditor.get(comments_of(issue)).json()["items"] == comments
        response = org.auditor.get(comments_of(issue), params={"sort": "-created_at"})
        assert response.json()["items"] == comments[::-1]

    def test_only_those_of_the_issue_are_listed(self, org: Org, issue: Json) -> None:
        other = org.member.create_issue({"id": issue["project_id"]})
        org.member.create_comment(other)
        comment = org.member.create_comment(issue)
        response = org.member.get(f"/api/issues/{issue['key']}/comments")
        assert response.json()["items"] == [comment]

    def test_an_issue_without_comments_has_an_empty_list(self, org: Org, issue: Json) -> None:
        body = org.member.get(comments_of(issue)).json()
        assert body == {"items": [], "next_cursor": None, "limit": 20}

    def test_html_comes_on_request_only(self, org: Org, issue: Json) -> None:
        org.member.create_comment(issue, "It *drips*.")
        [plain] = org.member.get(comments_of(issue)).json()["items"]
        [html] = org.member.get(comments_of(issue), params={"render": "html"}).json()["items"]
        assert html == {**plain, "content_html": "<p>It <em>drips</em>.</p>\n"}

    @pytest.mark.parametrize("query", ["", "?page=1"])
    def test_another_organisations_issue_is_like_a_missing_one(
        self, world: World, org: Org, issue: Json, query: str
    ) -> None:
        org.member.create_comment(issue)
        stranger = world.create_org().owner
        foreign, missing = (
            refused(stranger.get(f"/api/issues/{id}/comments{query}"), 404, "resource_not_found")
            for id in (issue["id"], uuid4())
        )
        assert without_id(foreign) == without_id(missing)


class TestUpdateComment:
    def test_its_author_replaces_the_text(self, world: World, org: Org, issue: Json) -> None:
        comment = org.member.create_comment(issue, "Seen.")
        changed = org.member.patch(url(comment), {"content": "Heard."}).json()
        assert changed["updated_at"] > comment["updated_at"]
        expected = {"content": "Heard.", "version": 2, "updated_at": changed["updated_at"]}
        assert changed == {**comment, **expected}
        assert org.member.get(comments_of(issue)).json()["items"] == [changed]
        event = world.events(org, comment)[-1]
        assert (event.action, event.changes) == (
            "comment.updated",
            {"content": ["Seen.", "Heard."]},
        )

    @pytest.mark.parametrize("role", ["owner", "admin", "manager", "developer", "member"])
    def test_nobody_else_may(self, org: Org, issue: Json, role: Role) -> None:
        comment = org.caller("member", "author").create_comment(issue)
        response = org.caller(role).patch(url(comment), {"content": "Heard."})
        refused(response, 403, "permission_denied")
        assert org.member.get(comments_of(issue)).json()["items"] == [comment]

    def test_the_same_text_is_no_change(self, world: World, org: Org, issue: Json) -> None:
        comment = org.member.create_comment(issue, DIRTY)
        for content in (CLEAN, DIRTY):
            response = org.member.patch(url(comment), {"content": content})
            assert (response.status_code, response.json()) == (200, comment)
        assert len(world.events(org, comment)) == 1

    def test_nothing_but_active_html_is_refused(self, org: Org, issue: Json) -> None:
        comment = org.member.create_comment(issue)
        response = org.member.patch(url(comment), {"content": "<script>x</script>"})
        refused(response, 422, "content_invalid")

    def test_an_author_who_became_auditor_may_not(
        self, world: World, org: Org, issue: Json
    ) -> None:
        comment = org.member.create_comment(issue)
        world.set_role(org, org.member, "auditor")
        response = org.member.patch(url(comment), {"content": "Heard."})
        refused(response, 403, "permission_denied")

    @pytest.mark.parametrize("body", [{}, {"content": None}, {"content": "x", "issue_id": "y"}])
    def test_other_bodies_are_refused(self, org: Org, issue: Json, body: Any) -> None:
        comment = org.member.create_comment(issue)
        refused(org.member.patch(url(comment), body), 400, "request_invalid")

    def test_another_organisations_comment_is_like_a_missing_one(
        self, world: World, org: Org, issue: Json
    ) -> None:
        comment = org.member.create_comment(issue)
        stranger = world.create_org().owner
        foreign, missing = (
            refused(
                stranger.patch(f"/api/comments/{id}", {"content": "x"}), 404, "resource_not_found"
            )
            for id in (comment["id"], uuid4())
        )
        assert without_id(foreign) == without_id(missing)
        assert "comment" in missing["detail"]


class TestDeleteComment:
    def test_there_is_no_such_operation(self, org: Org, issue: Json) -> None:
        comment = org.owner.create_comment(issue)
        for path in (url(comment), comments_of(issue), f"/api/issues/{issue['id']}"):
            response = org.owner.delete(path)
            refused(response, 405, "method_not_allowed")
            assert "DELETE" not in response.headers["Allow"]
        assert org.owner.get(comments_of(issue)).json()["items"] == [comment]

    @pytest.mark.parametrize("statement", ["DELETE FROM comments", "TRUNCATE comments CASCADE"])
    def test_the_apis_role_is_denied_it(
        self, runtime: Runtime, org: Org, issue: Json, statement: str
    ) -> None:
        comment = org.owner.create_comment(issue)
        with (
            pytest.raises(ProgrammingError) as raised,
            runtime.db.transaction(org_id=org.id) as session,
        ):
            session.execute(text(statement))
        assert isinstance(raised.value.orig, psycopg.errors.InsufficientPrivilege)
        assert org.owner.get(comments_of(issue)).json()["items"] == [comment]

    def test_no_cascade_reaches_it_from_what_the_apis_role_can_do(
        self, runtime: Runtime, org: Org, issue: Json
    ) -> None:
        org.owner.create_comment(issue)
        for table in ("issues", "projects", "members", "organisations"):
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                runtime.db.transaction(org_id=org.id) as session,
            ):
                session.execute(text(f"DELETE FROM {table}"))

    def test_the_owners_purge_of_a_project_takes_them_along(
        self, settings: Settings, org: Org, issue: Json
    ) -> None:
        org.owner.create_comment(issue)
        kept = org.owner.create_issue(org.manager.create_project())
        comment = org.owner.create_comment(kept)
        purge(settings, org, issue["project_id"])
        refused(org.owner.get(comments_of(issue)), 404, "resource_not_found")
        assert org.owner.get(comments_of(kept)).json()["items"] == [comment]


def purge(settings: Settings, org: Org, project_id: str) -> None:
    """Deletes a project as the operator would: as the schema's owner, in the tenant."""
    assert settings.owner_database_url is not None
    engine = create_engine(settings.owner_database_url.get_secret_value())
    with engine.begin() as connection:
        connection.execute(
            text("SELECT set_config('app.org_id', :org, true)"), {"org": str(org.id)}
        )
        deleted = connection.execute(
            text("DELETE FROM projects WHERE id = :id"), {"id": project_id}
        )
        assert deleted.rowcount == 1
    engine.dispose()
