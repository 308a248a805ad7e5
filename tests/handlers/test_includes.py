"""``fields`` and ``include`` on users and issues (O7)."""

from typing import Any

import httpx
import pytest

from bugtracker.contract import load_contract
from bugtracker.includes import SPARSE
from bugtracker.queries.included import ISSUE_INCLUDES, USER_INCLUDES
from bugtracker.runtime import Runtime
from bugtracker.security.permissions import permissions_of
from tests.recorder import recorded
from tests.world import Caller, Json, Org, World, refused

SCHEMAS = load_contract().document["components"]["schemas"]
PARAMETERS = load_contract().document["components"]["parameters"]


def shown(caller: Caller, path: str, **query: str) -> Any:
    response = caller.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def issue(org: Org) -> Json:
    """Reported by the member, assigned to the developer."""
    project = org.manager.create_project(name="Tides", key="TLS")
    made = org.member.create_issue(project, assignee_id=str(org.developer.id))
    org.manager.create_issue(project, title="Nobody's")
    return made


class TestContract:
    @pytest.mark.parametrize(
        ("schema", "parameters", "includes"),
        [("User", "User", USER_INCLUDES), ("Issue", "Issue", ISSUE_INCLUDES)],
    )
    def test_names_every_field_and_every_include(
        self, schema: str, parameters: str, includes: Any
    ) -> None:
        def names(kind: str) -> set[str]:
            found: list[str] = PARAMETERS[f"{parameters}{kind}"]["schema"]["items"]["enum"]
            return set(found)

        assert names("Include") == set(includes)
        assert names("FieldNames") == set(SCHEMAS[schema]["properties"]) - set(includes)
        sparse = SCHEMAS[f"{schema}Fields"]
        assert sparse["properties"] == SCHEMAS[schema]["properties"]
        assert sparse["required"] == ["id"]


class TestFields:
    @pytest.mark.parametrize("path", ["/api/issues/TLS-1", "/api/users/me"])
    def test_of_one_item(self, org: Org, issue: Json, path: str) -> None:
        whole = org.member.get(path)
        some = org.member.get(path, params={"fields": "version,created_at"})
        assert some.headers["Content-Type"] == SPARSE
        assert whole.headers["Content-Type"] == "application/json"
        names = ("id", "created_at", "version")
        assert some.json() == {name: whole.json()[name] for name in names}
        assert some.headers["ETag"] != whole.headers["ETag"]
        assert some.headers["ETag"].split("-")[0] == whole.headers["ETag"].split("-")[0]
        known = {"If-None-Match": some.headers["ETag"]}
        again = org.member.get(path, params={"fields": "version,created_at"}, headers=known)
        assert (again.status_code, org.member.get(path, headers=known).status_code) == (304, 200)

    @pytest.mark.parametrize("path", ["/api/issues", "/api/projects/{}/issues", "/api/users"])
    def test_of_lists(self, org: Org, issue: Json, path: str) -> None:
        page = org.member.get(path.format(issue["project_id"]), params={"fields": "id"})
        assert page.headers["Content-Type"] == SPARSE
        assert len(page.json()["items"]) >= 2
        assert all(set(item) == {"id"} for item in page.json()["items"])

    def test_rendered_text_is_a_field(self, org: Org, issue: Json) -> None:
        only = shown(org.member, "/api/issues/TLS-1", render="html", fields="description_html")
        assert set(only) == {"id", "description_html"}

    @pytest.mark.parametrize("path", ["/api/issues", "/api/issues/TLS-1", "/api/users",
                                      "/api/users/me"])  # fmt: skip
    @pytest.mark.parametrize("name", ["fields", "include"])
    @pytest.mark.parametrize("value", ["password", "id,id", "", "id,", "*", "org_id", "account"])
    def test_unknown_names_are_refused(
        self, org: Org, issue: Json, path: str, name: str, value: str
    ) -> None:
        refused(org.member.get(path, params={name: value}), 400, "request_invalid")

    def test_do_not_belong_to_a_cursor(self, org: Org, issue: Json) -> None:
        first = shown(org.member, "/api/issues", limit="1", fields="key", include="project")
        rest = shown(org.member, "/api/issues", limit="1", cursor=first["next_cursor"])
        assert rest["items"][0]["key"] == "TLS-1"
        link = org.member.get("/api/issues", params={"limit": 1, "fields": "key,title"})
        assert "fields=key,title" in link.headers["Link"]


class TestIncludeOfIssues:
    def test_puts_objects_beside_the_ids(self, world: World, org: Org, issue: Json) -> None:
        query = {"include": "project,reporter,assignee"}
        one = shown(org.auditor, "/api/issues/TLS-1", **query)
        project = {"id": issue["project_id"], "key": "TLS", "name": "Tides", "is_archived": False}
        assert one["project"] == project
        for person, name in ((org.member, "reporter"), (org.developer, "assignee")):
            expected = {"id": str(person.id), "username": person.username, "name": None}
            assert one[name] == expected
            assert one[f"{name}_id"] == expected["id"]
        assert {key: one[key] for key in issue} == issue
        newest, oldest = shown(org.auditor, "/api/issues", **query)["items"]
        assert (newest["assignee"], oldest) == (None, one)

    def test_names_people_who_left_and_imported_people(self, world: World, org: Org) -> None:
        issue = org.member.create_issue(org.manager.create_project())
        world.remove(org, org.member)
        one = shown(org.admin, f"/api/issues/{issue['id']}", include="reporter")
        assert one["reporter"]["username"] == org.member.username

    def test_goes_with_fields(self, org: Org, issue: Json) -> None:
        one = shown(org.member, "/api/issues/TLS-1", fields="key", include="assignee")
        assert set(one) == {"id", "key", "assignee"}

    @pytest.mark.parametrize("people", [1, 12])
    def test_takes_one_statement_for_each_whatever_the_page(
        self, runtime: Runtime, org: Org, people: int
    ) -> None:
        project = org.manager.create_project()
        for n in range(people):
            org.caller("developer", str(n)).create_issue(project)
        for path, include, most in (
            ("/api/issues", "project", 2),
            ("/api/issues", "project,reporter,assignee", 3),
            (f"/api/projects/{project['id']}/issues", "reporter", 2),
        ):
            with recorded(runtime.db.engine) as statements:
                page = shown(org.auditor, path, include=include)
            assert (len(page["items"]), len(statements)) == (people, most)


class TestIncludeOfUsers:
    def test_shows_organisations_that_both_are_in(self, world: World, org: Org) -> None:
        shared, theirs, left = (world.create_org() for _ in range(3))
        for other in (shared, theirs, left):
            world.join(org.member.id, other.id, "auditor")
        world.join(org.owner.id, shared.id, "manager")
        world.join(org.owner.id, left.id, "manager")
        world.remove(left, org.member)
        path = f"/api/users/{org.member.id}"
        here = {"id": str(org.id), "slug": org.slug, "name": org.slug, "role": "member"}
        there = {"id": str(shared.id), "slug": shared.slug, "name": shared.slug, "role": "auditor"}
        assert shown(org.owner, path, include="orgs")["orgs"] == [here, there]
        assert shown(org.auditor, path, include="orgs")["orgs"] == [here]
        mine = shown(org.member, "/api/users/me", include="orgs")["orgs"]
        assert {each["id"] for each in mine} == {str(each.id) for each in (org, shared, theirs)}

    def test_a_key_sees_its_own_only(self, world: World, org: Org) -> None:
        world.join(org.owner.id, world.create_org().id, "owner")
        key: httpx.Client = world.with_key(org.owner.create_api_key("users.read"))
        mine = key.get("/api/users/me", params={"include": "orgs"}).json()
        assert [each["id"] for each in mine["orgs"]] == [str(org.id)]

    def test_shows_what_the_role_allows(self, world: World, org: Org) -> None:
        one = shown(org.owner, f"/api/users/{org.auditor.id}", include="roles")
        assert one["roles"] == {"role": "auditor", "permissions": permissions_of("auditor")}

    @pytest.mark.parametrize("people", [1, 12])
    def test_takes_a_fixed_number_of_statements(
        self, world: World, runtime: Runtime, org: Org, people: int
    ) -> None:
        for n in range(people):
            world.import_person(org, f"tide{n}")
        for query, most in (
            ({}, 1),
            ({"search": "tide", "filter": "imported==true"}, 1),
            ({"include": "roles", "fields": "name"}, 1),
            ({"include": "orgs,roles"}, 2),
        ):
            with recorded(runtime.db.engine) as statements:
                shown(org.auditor, "/api/users", **query)
            assert len(statements) == most, query
