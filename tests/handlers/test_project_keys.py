"""Wherever a path takes a project's id it takes its key, in any case."""

from uuid import uuid4

import pytest

from bugtracker.runtime import Runtime
from tests.recorder import recorded
from tests.world import Json, Org, World, refused


@pytest.fixture
def project(org: Org) -> Json:
    return org.manager.create_project(name="Tidal Library System", key="TLS")


class TestKey:
    @pytest.mark.parametrize("ref", ["TLS", "tls", "tLs"])
    def test_reads_what_the_id_reads(self, org: Org, project: Json, ref: str) -> None:
        issue = org.member.create_issue(project)
        path = f"/api/projects/{ref}"
        assert org.auditor.get(path).json() == project
        assert org.auditor.get(f"{path}/issues").json()["items"] == [issue]
        assert org.auditor.get(f"{path}/issues?search=tide").json()["items"] == [issue]
        for part in ("statistics", "actions"):
            by_id = org.manager.get(f"/api/projects/{project['id']}/{part}").json()
            assert org.manager.get(f"{path}/{part}").json() == by_id

    def test_changes_what_the_id_changes(self, org: Org, project: Json) -> None:
        issue = org.member.post("/api/projects/tls/issues", {"title": "Leak"}).json()
        assert (issue["key"], issue["project_id"]) == ("TLS-1", project["id"])
        changed = org.manager.patch("/api/projects/tls", {"description": "Tides"}).json()
        assert (changed["key"], changed["description"]) == ("TLS", "Tides")
        assert org.manager.delete("/api/projects/tls").status_code == 204
        assert org.manager.get("/api/projects/TLS").json()["is_archived"] is True

    def test_means_the_own_organisation(self, world: World, org: Org, project: Json) -> None:
        stranger = world.create_org().manager
        for part in ("", "/issues", "/statistics", "/actions"):
            refused(stranger.get(f"/api/projects/TLS{part}"), 404, "resource_not_found")
        refused(stranger.patch("/api/projects/TLS", {"name": "x"}), 404, "resource_not_found")
        refused(
            stranger.post("/api/projects/TLS/issues", {"title": "x"}), 404, "resource_not_found"
        )
        refused(stranger.delete("/api/projects/TLS"), 404, "resource_not_found")

    def test_costs_one_look_up_at_most(self, runtime: Runtime, org: Org, project: Json) -> None:
        org.member.create_issue(project)
        for part, more in (("", 0), ("/issues", 1), ("/statistics", 1), ("/actions", 1)):
            counts = []
            for ref in (project["id"], "tls"):
                with recorded(runtime.db.engine) as statements:
                    org.manager.get(f"/api/projects/{ref}{part}")
                counts.append(len(statements))
            assert counts[1] == counts[0] + more


def test_an_id_that_nothing_has_is_missing_as_ever(org: Org) -> None:
    refused(org.manager.get(f"/api/projects/{uuid4()}"), 404, "resource_not_found")
