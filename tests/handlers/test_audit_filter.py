"""The audit log by the filter language, in the list and in the export."""

from typing import Any

import orjson
import pytest

from bugtracker.contract import load_contract
from bugtracker.queries.audit import FIELDS
from tests.handlers.test_audit import listed
from tests.world import Caller, Json, Org, World, refused

PARAMETER = load_contract().document["components"]["parameters"]["AuditFilter"]


@pytest.fixture
def project(org: Org) -> Json:
    """Made by the manager, renamed by the admin, with an issue of a member."""
    project = org.manager.create_project(key="TLS")
    org.admin.patch(f"/api/projects/{project['id']}", {"name": "Tides"})
    org.member.create_issue(project)
    return project


def actions(caller: Caller, text: str) -> set[str]:
    return {event["action"] for event in listed(caller, filter=text)}


def exported(caller: Caller, text: str) -> list[Json]:
    query: dict[str, Any] = {"format": "ndjson", "filter": text}
    response = caller.get("/api/audit/export", params=query)
    assert response.status_code == 200, response.text
    return [orjson.loads(line) for line in response.text.splitlines()]


class TestFilter:
    def test_selects_by_action(self, org: Org, project: Json) -> None:
        made = {"project.created", "issue.created"}
        assert actions(org.owner, "action==*.created;action!=organisation.*") >= made
        assert actions(org.owner, "action==PROJECT.*") == {"project.created", "project.updated"}
        assert actions(org.owner, "action=in=(issue.created)") == {"issue.created"}

    def test_selects_by_actor(self, org: Org, project: Json) -> None:
        assert actions(org.admin, "actor==me") == {"project.updated"}
        text = f"actor=={org.manager.username};resource_type==project"
        assert actions(org.admin, text) == {"project.created"}
        assert "member.joined" in actions(org.admin, "actor!=me")

    def test_selects_by_thing_and_time(self, org: Org, project: Json) -> None:
        thing = f"project_id=={project['id']};issue_id=null=true"
        assert actions(org.owner, thing) == {"project.created", "project.updated"}
        assert actions(org.owner, f"resource_id=={project['id']};created_at>=-1h") != set()
        assert actions(org.owner, "created_at<-1h") == set()

    def test_holds_beside_the_other_parameters(self, org: Org, project: Json) -> None:
        found = listed(org.owner, filter="resource_type==project", action="project.updated")
        assert [event["action"] for event in found] == ["project.updated"]

    def test_holds_in_the_export(self, org: Org, project: Json) -> None:
        lines = exported(org.owner, "resource_type==issue")
        assert [line["action"] for line in lines] == ["issue.created"]

    @pytest.mark.parametrize("text", ["org_id==x", "changes==x", "account_id=null=true"])
    def test_reaches_no_hidden_column(self, org: Org, text: str) -> None:
        for path in ("/api/audit", "/api/audit/export"):
            problem = refused(org.owner.get(path, params={"filter": text}), 400, "filter_invalid")
            assert [error["code"] for error in problem["errors"]] == ["field"]

    def test_sees_nothing_of_another_organisation(
        self, org: Org, world: World, project: Json
    ) -> None:
        stranger = world.create_org().owner
        assert listed(stranger, filter=f"project_id=={project['id']}") == []

    @pytest.mark.parametrize("name", PARAMETER["examples"])
    def test_the_examples_of_the_contract_can_be_used(self, org: Org, name: str) -> None:
        listed(org.owner, filter=PARAMETER["examples"][name]["value"])

    def test_the_contract_lists_every_field(self) -> None:
        for name in FIELDS:
            assert f"`{name}`" in PARAMETER["description"]


class TestApiKey:
    def test_is_told_in_the_list_and_in_the_export(self, org: Org, world: World) -> None:
        key = org.admin.create_api_key("projects.create", "projects.read")
        with world.with_key(key) as program:
            assert program.post("/api/projects", json={"name": "By key"}).status_code == 201
        org.admin.create_project()
        used = [key["api_key"]["id"], None]
        found = listed(org.owner, action="project.created", sort="created_at")
        assert [event["api_key_id"] for event in found] == used
        lines = exported(org.owner, "action==project.created")
        assert [line["api_key_id"] for line in lines] == used
