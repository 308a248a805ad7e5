"""Issues: create, read, edit (T4, T10, S2). Status and assignee have files of their own."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.world import Json, Org, World, refused, without_id

DIRTY = "Look: <script>alert(1)</script><b>bold</b>\n\n`<script>kept</script>`\n"
CLEAN = "Look: <b>bold</b>\n\n`<script>kept</script>`\n"


@pytest.fixture
def project(org: Org) -> Json:
    return org.manager.create_project(name="Tidal Library System")


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


class TestCreateIssue:
    def test_a_title_is_enough(self, org: Org, project: Json) -> None:
        response = org.member.post(f"/api/projects/{project['id']}/issues", {"title": "Leak"})
        issue = response.json()
        assert response.status_code == 201
        assert response.headers["Location"] == url(issue)
        assert {k: v for k, v in issue.items() if k not in ("id", "created_at", "updated_at")} == {
            "key": "TLS-1",
            "number": 1,
            "project_id": project["id"],
            "title": "Leak",
            "description": "",
            "status": "open",
            "priority": "medium",
            "reporter_id": str(org.member.id),
            "assignee_id": None,
            "due_date": None,
            "version": 1,
        }
        read = org.member.get(url(issue))
        assert (read.json(), read.headers["ETag"]) == (issue, response.headers["ETag"])

    def test_everything_can_be_given(self, org: Org, project: Json) -> None:
        fields = {
            "title": "Leak",
            "description": "*Everywhere*",
            "priority": "critical",
            "assignee_id": str(org.developer.id),
            "due_date": "2026-02-28",
        }
        issue = org.member.create_issue(project, **fields)
        assert {name: issue[name] for name in fields} == fields

    def test_null_means_nobody_and_never(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, assignee_id=None, due_date=None)
        assert (issue["assignee_id"], issue["due_date"]) == (None, None)

    def test_numbers_count_from_one_in_each_project(self, org: Org, project: Json) -> None:
        other = org.manager.create_project(name="Quay")
        keys = [org.member.create_issue(p)["key"] for p in (project, other, project, other)]
        assert keys == ["TLS-1", "QUAY-1", "TLS-2", "QUAY-2"]

    def test_a_refused_one_uses_no_number(self, org: Org, project: Json) -> None:
        body = {"title": "Leak", "assignee_id": str(uuid4())}
        response = org.member.post(f"/api/projects/{project['id']}/issues", body)
        refused(response, 422, "assignee_invalid")
        assert org.member.create_issue(project)["number"] == 1

    def test_active_html_is_removed_and_code_kept(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, description=DIRTY)
        assert issue["description"] == CLEAN
        assert org.member.get(url(issue)).json()["description"] == CLEAN

    def test_a_title_is_plain_text(self, org: Org, project: Json) -> None:
        title = "<script>alert('1')</script> & *stars*"
        assert org.member.create_issue(project, title=title)["title"] == title

    @pytest.mark.parametrize(
        ("title", "description"),
        [("ß" * 200, "ü" * 5000), ("x", ""), ("\U0001f30a" * 200, "\U0001f30a" * 5000)],
    )
    def test_all_lengths_up_to_the_limit_are_kept(
        self, org: Org, project: Json, title: str, description: str
    ) -> None:
        issue = org.member.create_issue(project, title=title, description=description)
        assert (issue["title"], issue["description"]) == (title, description)

    @pytest.mark.parametrize(
        "text", ["<", "<b", "</", "<a title='\"", "\\<", "&", '<a href="', "](", "[x](a:", "<!--"]
    )
    def test_no_text_of_allowed_length_grows_too_long_to_store(
        self, org: Org, project: Json, text: str
    ) -> None:
        description = (text * 5000)[:5000]
        issue = org.member.create_issue(project, description=description)
        assert org.member.get(url(issue), params={"render": "html"}).status_code == 200
        comment = org.member.create_comment(issue, (text * 2000)[:2000])
        assert comment["version"] == 1

    def test_everything_wrong_is_said_at_once(self, org: Org, project: Json) -> None:
        body = {
            "title": "x" * 201,
            "description": "x" * 5001,
            "priority": "urgent",
            "assignee_id": "me",
            "due_date": "2026-02-30",
            "status": "open",
        }
        response = org.member.post(f"/api/projects/{project['id']}/issues", body)
        errors = refused(response, 400, "request_invalid")["errors"]
        assert {error["pointer"] for error in errors} == {f"/{name}" for name in body}

    @pytest.mark.parametrize("title", ["", "  ", "two\nlines", "nul\x00", None, 7])
    def test_a_title_is_one_line_of_text(self, org: Org, project: Json, title: Any) -> None:
        response = org.member.post(f"/api/projects/{project['id']}/issues", {"title": title})
        refused(response, 400, "request_invalid")

    def test_another_organisations_project_is_like_a_missing_one(
        self, world: World, org: Org
    ) -> None:
        theirs = world.create_org().manager.create_project()
        problems = [
            refused(
                org.owner.post(f"/api/projects/{id}/issues", {"title": "x"}),
                404,
                "resource_not_found",
            )
            for id in (theirs["id"], uuid4())
        ]
        assert without_id(problems[0]) == without_id(problems[1])


class TestGetIssue:
    def test_is_found_by_id_and_by_key(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        assert org.auditor.get(url(issue)).json() == issue
        assert org.auditor.get(f"/api/issues/{issue['key']}").json() == issue

    def test_a_key_means_its_project(self, org: Org, project: Json) -> None:
        other = org.manager.create_project(name="Quay Instruments", key="QUAY")
        for its in (project, other):
            issue = org.member.create_issue(its, title=f"In {its['key']}")
            path = f"/api/issues/{its['key']}-1"
            org.member.post(f"{path}/comments", {"content": f"About {its['key']}"})
            assert org.auditor.get(path).json() == issue
            comments = org.auditor.get(f"{path}/comments").json()["items"]
            assert [comment["content"] for comment in comments] == [f"About {its['key']}"]
            changed = org.member.patch(path, {"priority": "high"}).json()
            assert changed["id"] == issue["id"]

    def test_a_key_means_the_own_organisation(self, world: World, org: Org, project: Json) -> None:
        other = world.create_org()
        theirs = other.member.create_issue(other.manager.create_project(key="TLS"))
        assert theirs["key"] == "TLS-1"
        refused(org.member.get("/api/issues/TLS-1"), 404, "resource_not_found")
        ours = org.member.create_issue(project)
        assert org.member.get("/api/issues/TLS-1").json() == ours

    @pytest.mark.parametrize("ref", ["TLS-2", "TLS-999999999", "NONE-1", str(UUID(int=0))])
    def test_a_missing_one_is_not_found(self, org: Org, project: Json, ref: str) -> None:
        org.member.create_issue(project)
        refused(org.member.get(f"/api/issues/{ref}"), 404, "resource_not_found")

    @pytest.mark.parametrize("ref", ["TLS-0", "TLS-01", "TLS-1000000000", "1", "TLS"])
    def test_what_cannot_be_a_key_is_refused(self, org: Org, ref: str) -> None:
        refused(org.member.get(f"/api/issues/{ref}"), 400, "request_invalid")

    def test_another_organisations_issue_is_like_a_missing_one(
        self, world: World, org: Org
    ) -> None:
        other = world.create_org()
        theirs = other.member.create_issue(other.manager.create_project())
        foreign = refused(org.owner.get(url(theirs)), 404, "resource_not_found")
        missing = refused(org.owner.get(f"/api/issues/{uuid4()}"), 404, "resource_not_found")
        assert without_id(foreign) == without_id(missing)

    def test_html_comes_on_request_only(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, description="*Wet* [x](javascript:alert(1))")
        assert "description_html" not in org.member.get(url(issue)).json()
        rendered = org.member.get(url(issue), params={"render": "html"}).json()
        html = rendered.pop("description_html")
        assert rendered == issue
        assert html.startswith("<p><em>Wet</em>")
        assert "javascript" not in html

    def test_other_renderings_are_refused(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        response = org.member.get(url(issue), params={"render": "pdf"})
        refused(response, 400, "request_invalid")


class TestKeyInSmallLetters:
    """Filters take a key in any case, and so do paths; answers have the one that is right."""

    def test_reads_the_issue_and_what_belongs_to_it(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        for ref in ("tls-1", "Tls-1"):
            assert org.auditor.get(f"/api/issues/{ref}").json() == issue
            for part in ("comments", "history", "actions"):
                right = org.member.get(f"/api/issues/TLS-1/{part}").json()
                assert org.member.get(f"/api/issues/{ref}/{part}").json() == right

    def test_changes_it_and_comments_on_it(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        changed = org.member.patch("/api/issues/tls-1", {"title": "Leak"}).json()
        assert (changed["key"], changed["title"]) == ("TLS-1", "Leak")
        comment = org.member.post("/api/issues/tls-1/comments", {"content": "Here."}).json()
        assert comment["issue_id"] == issue["id"]


class TestUpdateIssue:
    def test_changes_what_is_sent_and_leaves_the_rest(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, description="old", due_date="2026-01-01")
        fields = {"title": "Flood", "priority": "high", "due_date": "2026-12-31"}
        changed = org.member.patch(url(issue), fields).json()
        assert changed["updated_at"] > issue["updated_at"]
        expected = {**issue, **fields, "version": 2, "updated_at": changed["updated_at"]}
        assert changed == expected
        assert org.auditor.get(url(issue)).json() == expected

    def test_is_found_by_key_too(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        changed = org.member.patch(f"/api/issues/{issue['key']}", {"title": "Flood"}).json()
        assert (changed["id"], changed["title"]) == (issue["id"], "Flood")

    def test_null_clears_assignee_and_due_date(self, org: Org, project: Json) -> None:
        fields = {"assignee_id": str(org.developer.id), "due_date": "2026-01-01"}
        issue = org.member.create_issue(project, **fields)
        changed = org.member.patch(url(issue), {"assignee_id": None, "due_date": None}).json()
        assert (changed["assignee_id"], changed["due_date"]) == (None, None)

    def test_null_empties_the_description(self, world: World, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, description="*Everywhere*")
        changed = org.member.patch(url(issue), {"description": None}).json()
        assert (changed["description"], changed["version"]) == ("", 2)
        assert len(world.events(org, issue)) == 2
        again = org.member.patch(url(issue), {"description": None}).json()
        assert again == changed
        assert len(world.events(org, issue)) == 2

    @pytest.mark.parametrize("field", ["title", "status", "priority"])
    def test_null_clears_nothing_else(self, org: Org, project: Json, field: str) -> None:
        issue = org.member.create_issue(project)
        refused(org.member.patch(url(issue), {field: None}), 400, "request_invalid")

    @pytest.mark.parametrize(
        "field",
        ["id", "key", "number", "project_id", "reporter_id", "created_at", "version", "labels"],
    )
    def test_read_only_and_unknown_fields_are_refused(
        self, org: Org, project: Json, field: str
    ) -> None:
        issue = org.member.create_issue(project)
        response = org.member.patch(url(issue), {field: issue.get(field, "x"), "title": "New"})
        assert refused(response, 400, "request_invalid")["errors"][0]["pointer"] == f"/{field}"
        assert org.member.get(url(issue)).json() == issue

    def test_an_empty_patch_is_refused(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        refused(org.member.patch(url(issue), {}), 400, "request_invalid")

    def test_what_is_already_so_is_no_change(self, world: World, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project, description=DIRTY, due_date="2026-01-01")
        names = ("title", "status", "priority", "assignee_id", "due_date")
        same = {**{name: issue[name] for name in names}, "description": DIRTY}
        response = org.member.patch(url(issue), same)
        assert (response.status_code, response.json()) == (200, issue)
        assert response.headers["ETag"] == org.member.get(url(issue)).headers["ETag"]
        assert len(world.events(org, issue)) == 1

    def test_active_html_is_removed_and_code_kept(self, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        changed = org.member.patch(url(issue), {"description": DIRTY}).json()
        assert changed["description"] == CLEAN

    def test_all_is_changed_or_nothing(self, world: World, org: Org, project: Json) -> None:
        issue = org.member.create_issue(project)
        body = {"title": "Flood", "status": "closed"}
        refused(org.member.patch(url(issue), body), 409, "issue_transition_not_allowed")
        assert org.member.get(url(issue)).json() == issue
        assert len(world.events(org, issue)) == 1

    def test_another_organisations_issue_is_like_a_missing_one(
        self, world: World, org: Org
    ) -> None:
        other = world.create_org()
        theirs = other.member.create_issue(other.manager.create_project())
        foreign, missing = (
            refused(org.owner.patch(f"/api/issues/{id}", {"title": "x"}), 404, "resource_not_found")
            for id in (theirs["id"], uuid4())
        )
        assert without_id(foreign) == without_id(missing)
        assert other.member.get(url(theirs)).json() == theirs

    def test_the_creator_of_the_project_edits_like_a_manager(
        self, world: World, org: Org, project: Json
    ) -> None:
        issue = org.member.create_issue(project)
        world.set_role(org, org.manager, "member")
        body = {"title": "Flood", "assignee_id": str(org.developer.id)}
        assert org.manager.patch(url(issue), body).status_code == 200
