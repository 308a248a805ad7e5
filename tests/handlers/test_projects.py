"""Projects: list, create, read, edit, archive (T2, T3, T9)."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.world import Json, Org, World, refused, without_id


def url(project: Json) -> str:
    return f"/api/projects/{project['id']}"


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


class TestCreateProject:
    def test_answers_with_the_project_and_where_it_is(self, org: Org) -> None:
        response = org.manager.post("/api/projects", {"name": "Tidal Library System"})
        project = response.json()
        assert response.status_code == 201
        assert response.headers["Location"] == url(project)
        assert org.manager.get(response.headers["Location"]).json() == project
        assert {
            k: v for k, v in project.items() if k not in ("id", "created_at", "updated_at")
        } == {
            "key": "TLS",
            "name": "Tidal Library System",
            "description": "",
            "created_by_id": str(org.manager.id),
            "is_archived": False,
            "version": 1,
        }
        assert project["created_at"] == project["updated_at"]
        assert project["created_at"].endswith("Z")

    def test_keeps_the_key_and_description_it_is_given(self, org: Org) -> None:
        project = org.admin.create_project(name="Quay", key="Q2", description="Moorings & *more*")
        assert (project["key"], project["description"]) == ("Q2", "Moorings & *more*")

    def test_the_etag_is_that_of_a_read(self, org: Org) -> None:
        created = org.manager.post("/api/projects", {"name": "Quay"})
        assert created.headers["ETag"] == org.manager.get(url(created.json())).headers["ETag"]

    @pytest.mark.parametrize("name", ["Quay", "QUAY", "quay"])
    def test_a_taken_name_is_refused_whatever_its_capitals(self, org: Org, name: str) -> None:
        org.manager.create_project(name="Quay")
        refused(org.admin.post("/api/projects", {"name": name}), 409, "project_name_taken")
        assert names(org.manager.get("/api/projects")) == ["Quay"]

    def test_an_archived_project_keeps_its_name(self, org: Org) -> None:
        org.manager.delete(url(org.manager.create_project(name="Quay")))
        refused(org.manager.post("/api/projects", {"name": "Quay"}), 409, "project_name_taken")

    def test_a_taken_key_is_refused(self, org: Org) -> None:
        org.manager.create_project(name="Quay", key="QQ")
        body = {"name": "Quarry", "key": "QQ"}
        refused(org.manager.post("/api/projects", body), 409, "project_key_taken")

    def test_a_derived_key_avoids_taken_ones(self, org: Org) -> None:
        keys = [
            org.manager.create_project(name=name)["key"]
            for name in ("Tidal Library System", "Tidal Lending Service", "Tin Lid Sorter")
        ]
        assert keys == ["TLS", "TLS2", "TLS3"]

    def test_another_organisation_may_have_the_same_name_and_key(self, world: World) -> None:
        one, other = world.create_org(), world.create_org()
        one.manager.create_project(name="Quay", key="QQ")
        assert other.manager.create_project(name="Quay", key="QQ")["key"] == "QQ"

    def test_all_lengths_up_to_the_limit_are_kept(self, org: Org) -> None:
        project = org.manager.create_project(name="ß" * 100, description="ü" * 1000)
        assert (len(project["name"]), len(project["description"])) == (100, 1000)

    def test_everything_that_is_too_long_is_said_at_once(self, org: Org) -> None:
        body = {"name": "x" * 101, "description": "x" * 1001, "key": "lower"}
        problem = refused(org.manager.post("/api/projects", body), 400, "request_invalid")
        assert {error["pointer"] for error in problem["errors"]} == {
            "/name",
            "/description",
            "/key",
        }

    @pytest.mark.parametrize("field", ["id", "created_by_id", "is_archived", "version", "org_id"])
    def test_what_the_server_decides_is_refused(self, org: Org, field: str) -> None:
        response = org.manager.post("/api/projects", {"name": "Quay", field: None})
        assert refused(response, 400, "request_invalid")["errors"][0]["pointer"] == f"/{field}"

    def test_is_recorded_as_an_event(self, world: World, org: Org) -> None:
        project = org.manager.create_project(name="Quay", description="Moorings")
        [event] = world.events(org, project)
        assert (event.action, event.actor_id, event.resource_version) == (
            "project.created",
            org.manager.id,
            1,
        )
        assert event.changes == {
            "key": [None, "QUAY"],
            "name": [None, "Quay"],
            "description": [None, "Moorings"],
        }


class TestListProjects:
    def test_newest_comes_first_and_archived_ones_are_listed(self, org: Org) -> None:
        for name in ("one", "two", "three"):
            project = org.manager.create_project(name=name)
        org.manager.delete(url(project))
        assert names(org.auditor.get("/api/projects")) == ["three", "two", "one"]

    def test_only_those_of_the_own_organisation_are_listed(self, world: World, org: Org) -> None:
        world.create_org().manager.create_project(name="theirs")
        org.manager.create_project(name="ours")
        assert names(org.member.get("/api/projects")) == ["ours"]

    def test_an_empty_organisation_has_an_empty_list(self, org: Org) -> None:
        body = org.member.get("/api/projects").json()
        assert body == {"items": [], "next_cursor": None, "limit": 20}

    @pytest.mark.parametrize(("value", "expected"), [("true", ["old"]), ("false", ["new"])])
    def test_is_archived_filters(self, org: Org, value: str, expected: list[str]) -> None:
        org.manager.delete(url(org.manager.create_project(name="old")))
        org.manager.create_project(name="new")
        assert names(org.member.get("/api/projects", params={"is_archived": value})) == expected

    @pytest.mark.parametrize(
        ("search", "expected"),
        [
            ("quay", ["Quay"]),
            ("UA", ["Quay"]),
            ("PIER", ["Landing"]),
            ("moor", ["Landing"]),
            ("100%", ["Full"]),
            ("%", ["Full"]),
            ("_", []),
            ("\\", []),
            ("'", []),
        ],
    )
    def test_search_looks_into_name_key_and_description(
        self, org: Org, search: str, expected: list[str]
    ) -> None:
        org.manager.create_project(name="Quay")
        org.manager.create_project(name="Landing", key="PIER9", description="Moorings")
        org.manager.create_project(name="Full", description="100% done")
        assert names(org.member.get("/api/projects", params={"search": search})) == expected

    def test_filters_combine(self, org: Org) -> None:
        for name in ("Quay one", "Quay two", "Pier"):
            project = org.manager.create_project(name=name)
            if name != "Quay two":
                org.manager.delete(url(project))
        query = {"search": "quay", "is_archived": "true"}
        assert names(org.member.get("/api/projects", params=query)) == ["Quay one"]

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            ("name", ["alpha", "Beta", "gamma"]),
            ("-name", ["gamma", "Beta", "alpha"]),
            ("created_at", ["Beta", "gamma", "alpha"]),
            ("-created_at", ["alpha", "gamma", "Beta"]),
            ("updated_at", ["gamma", "alpha", "Beta"]),
            ("-updated_at", ["Beta", "alpha", "gamma"]),
        ],
    )
    def test_sort_orders_both_ways(self, org: Org, sort: str, expected: list[str]) -> None:
        first, *_ = [org.manager.create_project(name=name) for name in ("Beta", "gamma", "alpha")]
        org.manager.patch(url(first), {"description": "changed"})
        assert names(org.member.get("/api/projects", params={"sort": sort})) == expected

    @pytest.mark.parametrize(
        "query",
        ["sort=key", "sort=", "is_archived=yes", "search=", "search=%20", "status=open", "q=x"],
    )
    def test_what_the_contract_does_not_know_is_refused(self, org: Org, query: str) -> None:
        problem = refused(org.member.get(f"/api/projects?{query}"), 400, "request_invalid")
        assert problem["errors"][0]["parameter"] == query.partition("=")[0]


class TestGetProject:
    def test_every_role_reads_it(self, org: Org) -> None:
        project = org.manager.create_project()
        for reader in (org.owner, org.admin, org.developer, org.member, org.auditor):
            assert reader.get(url(project)).json() == project

    def test_another_organisations_project_is_like_a_missing_one(
        self, world: World, org: Org
    ) -> None:
        theirs = world.create_org().manager.create_project()
        foreign = refused(org.owner.get(url(theirs)), 404, "resource_not_found")
        missing = refused(org.owner.get(f"/api/projects/{uuid4()}"), 404, "resource_not_found")
        assert without_id(foreign) == without_id(missing)

    def test_something_else_than_an_id_is_refused(self, org: Org) -> None:
        problem = refused(org.owner.get("/api/projects/QUAY-1"), 400, "request_invalid")
        assert problem["errors"][0]["parameter"] == "project_id"

    def test_its_id_may_have_capitals(self, org: Org) -> None:
        project = org.manager.create_project()
        assert org.manager.get(f"/api/projects/{project['id'].upper()}").json() == project


class TestUpdateProject:
    def test_changes_what_is_sent_and_leaves_the_rest(self, org: Org) -> None:
        project = org.manager.create_project(name="Quay", description="old")
        changed = org.manager.patch(url(project), {"description": "new"}).json()
        assert changed["version"] == 2
        assert changed["updated_at"] > project["updated_at"]
        expected = {**project, "description": "new", "version": 2}
        assert changed == {**expected, "updated_at": changed["updated_at"]}
        assert org.manager.get(url(project)).json() == changed

    def test_null_empties_the_description_and_nothing_else(self, org: Org) -> None:
        project = org.manager.create_project(name="Quay", description="old")
        changed = org.manager.patch(url(project), {"description": None}).json()
        assert (changed["description"], changed["version"]) == ("", 2)
        refused(org.manager.patch(url(project), {"name": None}), 400, "request_invalid")

    def test_a_manager_edits_somebody_elses_project(self, org: Org) -> None:
        project = org.admin.create_project()
        response = org.manager.patch(url(project), {"name": "Renamed"})
        assert response.json()["name"] == "Renamed"

    def test_a_new_name_leaves_the_key(self, org: Org) -> None:
        project = org.manager.create_project(name="Quay")
        assert org.manager.patch(url(project), {"name": "Pier"}).json()["key"] == "QUAY"

    def test_a_taken_name_is_refused_and_nothing_changes(self, org: Org) -> None:
        org.manager.create_project(name="Quay")
        project = org.manager.create_project(name="Pier")
        body = {"name": "QUAY", "description": "changed"}
        refused(org.manager.patch(url(project), body), 409, "project_name_taken")
        assert org.manager.get(url(project)).json() == project

    def test_its_own_name_in_other_capitals_is_free(self, org: Org) -> None:
        project = org.manager.create_project(name="quay")
        assert org.manager.patch(url(project), {"name": "Quay"}).json()["name"] == "Quay"

    def test_what_is_already_so_is_no_change(self, world: World, org: Org) -> None:
        project = org.manager.create_project(name="Quay", description="Moorings")
        same = {"name": "Quay", "description": "Moorings", "is_archived": False}
        response = org.manager.patch(url(project), same)
        assert (response.status_code, response.json()) == (200, project)
        assert len(world.events(org, project)) == 1

    def test_records_old_and_new(self, world: World, org: Org) -> None:
        project = org.manager.create_project(name="Quay")
        org.admin.patch(url(project), {"name": "Pier", "description": ""})
        event = world.events(org, project)[-1]
        assert (event.action, event.actor_id) == ("project.updated", org.admin.id)
        assert event.changes == {"name": ["Quay", "Pier"]}
        assert event.resource_version == 2

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": None},
            {"name": ""},
            {"name": " \t"},
            {"name": "two\nlines"},
            {"is_archived": None},
            {"is_archived": "true"},
            {"key": "NEW"},
            {"created_by_id": str(UUID(int=7))},
            {"version": 7},
            [],
        ],
        ids=str,
    )
    def test_other_bodies_are_refused(self, org: Org, body: Any) -> None:
        project = org.manager.create_project()
        refused(org.manager.patch(url(project), body), 400, "request_invalid")
