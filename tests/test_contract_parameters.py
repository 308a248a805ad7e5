"""Every parameter of the contract does something: two requests that differ only in it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Timer
from typing import Any
from uuid import UUID

import pytest

from bugtracker.audit.sealing import seal_now
from bugtracker.clock import utc_now
from bugtracker.contract import Operation, load_contract
from bugtracker.models import Member
from bugtracker.runtime import Runtime
from tests.logins import logged_in
from tests.world import Caller, World, made

CONTRACT = load_contract()
OPERATIONS = CONTRACT.operations


@dataclass
class Scene:
    """Two projects; the first one has two issues that differ in everything, and two comments."""

    caller: Caller
    paths: dict[str, str]
    runtime: Runtime

    def path(self, operation: Operation) -> str:
        return operation.path.format(**self.paths)


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    """The scene, seen by the admin who made it. No test here changes anything in it."""
    org = world.create_org()
    caller = org.admin
    world.open_session(caller.id, org.id)
    world.join(caller.id, world.create_org().id, "auditor")
    caller.create_project(name="Archive of tides")
    project = caller.create_project(name="Before the tides")
    other = caller.create_project(name="Zebra")
    assert caller.delete(f"/api/projects/{other['id']}").status_code == 204
    issue = caller.create_issue(project, title="Old **ebb**", assignee_id=str(caller.id))
    org.developer.create_issue(project, title="New flood", priority="critical")
    caller.move(issue, "in_progress")
    world.import_person(org, "oberon")
    comment = caller.create_comment(issue, "It is **wrong**.")
    caller.create_comment(issue, "It is right.")
    seal_now(world.runtime, org.id)
    paths = {"project_id": project["id"], "issue_id": issue["id"], "comment_id": comment["id"]}
    paths |= {"organisation_id": str(org.id), "user_id": str(org.developer.id)}
    keys = [caller.create_api_key()["api_key"] for _ in range(2)]
    paths["api_key_id"] = keys[0]["id"]
    webhooks = [caller.create_webhook()["webhook"]["id"] for _ in range(2)]
    paths["webhook_id"] = webhooks[0]
    pinged = [caller.ping(webhooks[0]) for _ in range(2)]
    paths["event_id"] = pinged[0]
    for number in range(2):
        body = {"email": f"invited{number}@example.com", "role": "member"}
        invitation = made(caller.post("/api/invitations", body))
    now = utc_now()
    for person in (caller, org.developer):
        logged_in(world.runtime, org, person.id, now)
    # One has been away for more than a month, one for days.
    for person, days in ((org.developer, 40), (org.member, 5)):
        with world.runtime.db.transaction(org_id=org.id) as session:
            member = session.get_one(Member, (org.id, person.id))
            member.last_login = now - timedelta(days=days)
    revoked = {"email": "revoked@example.com", "role": "member"}
    caller.delete(f"/api/invitations/{made(caller.post('/api/invitations', revoked))['id']}")
    erasures = [f"/api/users/{person.id}/deletion-requests" for person in (org.developer, caller)]
    cancelled, waiting = (made(caller.post(erasure)) for erasure in erasures)
    caller.post(f"/api/deletion-requests/{cancelled['id']}/cancel")
    paths["deletion_request_id"] = waiting["id"]
    # Another server of this process may be at it: then its numbers arrive a moment later.
    deadline = time.monotonic() + 20
    while not caller.get("/api/analytics/rate-limits").json()["allowed"]:
        assert time.monotonic() < deadline
        world.runtime.request_counts.flush(world.runtime.db)
    return Scene(caller, {**paths, "invitation_id": invitation["id"]}, world.runtime)


def next_cursor(scene: Scene, operation: Operation) -> str:
    """A cursor of the list itself."""
    query = {**ALWAYS.get(operation.id, {}), "limit": 1}
    first = scene.caller.get(scene.path(operation), params=query).json()
    cursor: str = first["next_cursor"]
    return cursor


# What an operation cannot be asked without, or has nothing to say without; a parameter may have its
# own.
ALWAYS: dict[str, dict[str, Any]] = {
    "search": {"q": "e"},
    "follow_events": {"after": "beginning"},
    "follow_events.wait": {},
}


def soon(scene: Scene, _: Operation) -> int:
    """Seconds to wait for something that happens in one."""

    def happen() -> None:
        scene.caller.patch(f"/api/issues/{scene.paths['issue_id']}", {"due_date": "2030-01-01"})
        seal_now(scene.runtime, UUID(scene.paths["organisation_id"]))

    Timer(1, happen).start()
    return 20


Value = str | int | Callable[[Scene, Operation], str]
PAGING: dict[str, Value] = {"limit": 1, "cursor": next_cursor}

AUDIT_FILTERS: dict[str, Value] = {
    "action": "issue.*,comment.created", "actor": "me", "resource_type": "issue",
    "resource_id": lambda scene, _: scene.paths["issue_id"], "filter": "resource_type==comment",
    "created_after": "2999-01-01T00:00:00Z", "created_before": "2001-01-01T00:00:00+01:00",
}  # fmt: skip

# For each query parameter a value that must change the answer of the scene.
EFFECTS: dict[str, dict[str, Value]] = {
    "list_projects": {
        **PAGING, "page": 1, "search": "zebra", "is_archived": "true", "sort": "name",
    },
    "get_project_statistics": {
        "from": lambda _scene, _: str(utc_now().date()), "to": "2025-01-01", "interval": "week",
    },
    "list_issues": {
        **PAGING, "page": 1, "status": "in_progress", "priority": "critical", "assignee": "me",
        "reporter": "me", "search": "flood", "sort": "created_at", "render": "html",
        "filter": "title==*ebb*", "fields": "title", "include": "project",
    },
    "list_all_issues": {
        **PAGING, "page": 1, "status": "in_progress", "priority": "critical", "assignee": "me",
        "reporter": "me", "search": "flood", "sort": "created_at", "render": "html",
        "filter": "priority>high", "fields": "title", "include": "assignee",
    },
    "get_issue": {"render": "html", "fields": "title", "include": "reporter"},
    "list_users": {
        **PAGING, "search": "ober", "sort": "-username", "removed": "only", "filter": "role==owner",
        "fields": "name", "include": "orgs",
    },
    "list_top_logins": {"window": "30d", "limit": 1},
    "list_inactive_users": {**PAGING, "window": "hour", "fields": "name", "include": "orgs"},
    "get_rate_limit_analytics": {
        "from": lambda _scene, _: (utc_now() - timedelta(hours=3)).isoformat(),
        "to": "2025-01-01T00:00:00Z", "interval": "minute",
        "operation": "list_none",
    },
    "get_user": {"fields": "name", "include": "roles"},
    "list_issue_history": {**PAGING, "sort": "-created_at"},
    "list_comments": {**PAGING, "page": 1, "sort": "-created_at", "render": "html"},
    "get_comment": {"render": "html"},
    "search": {**PAGING, "q": "flood", "type": "issue", "archived": "true"},
    "list_sessions": PAGING,
    "list_my_activity": PAGING,
    "list_api_keys": {**PAGING, "status": "revoked"},
    "list_webhooks": PAGING,
    "list_webhook_deliveries": {**PAGING, "state": "dead"},
    "follow_events": {"after": next_cursor, "types": "comment.*", "limit": 1, "wait": soon},
    "list_organisations": PAGING,
    "list_invitations": {**PAGING, "state": "revoked"},
    "list_deletion_requests": {**PAGING, "state": "cancelled"},
    "list_members": {**PAGING, "role": "developer"},
    "list_audit_events": {**PAGING, **AUDIT_FILTERS, "sort": "created_at"},
    "export_audit_events": {**AUDIT_FILTERS, "format": "ndjson"},
    "verify_audit": {"from_number": 10**9},
}  # fmt: skip

CASES = [(operation, name) for operation, effects in EFFECTS.items() for name in effects]


def with_header(name: str) -> list[Any]:
    return [
        pytest.param(operation, id=operation.id)
        for operation in OPERATIONS.values()
        if name in {parameter.name for parameter in operation.parameters}
    ]


class TestQueryParameter:
    def test_every_one_has_a_case_below(self) -> None:
        in_contract = {
            (operation.id, parameter.name)
            for operation in OPERATIONS.values()
            for parameter in operation.parameters
            if parameter.location == "query"
        }
        assert set(CASES) == in_contract

    @pytest.mark.parametrize(("operation_id", "name"), CASES)
    def test_changes_the_answer(self, scene: Scene, operation_id: str, name: str) -> None:
        operation = OPERATIONS[operation_id]
        value = EFFECTS[operation_id][name]
        given = value(scene, operation) if callable(value) else value
        path = scene.path(operation)
        always = ALWAYS.get(f"{operation_id}.{name}", ALWAYS.get(operation_id, {}))
        plain = scene.caller.get(path, params=always)
        changed = scene.caller.get(path, params={**always, name: given})
        assert (plain.status_code, changed.status_code) == (200, 200)
        assert plain.content != changed.content


class TestHeader:
    @pytest.mark.parametrize("operation", with_header("If-Match"))
    def test_if_match_of_another_version_stops_the_change(
        self, scene: Scene, operation: Operation
    ) -> None:
        body = next(
            (
                example["value"]
                for media in operation.raw.get("requestBody", {}).get("content", {}).values()
                for example in media["examples"].values()
            ),
            None,
        )
        response = scene.caller.http.request(
            operation.method, scene.path(operation), json=body, headers={"If-Match": '"v99-0"'}
        )
        assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")

    @pytest.mark.parametrize("operation", with_header("If-None-Match"))
    def test_if_none_match_of_the_same_version_saves_the_body(
        self, scene: Scene, operation: Operation
    ) -> None:
        path = scene.path(operation)
        tag = scene.caller.get(path).headers["etag"]
        response = scene.caller.get(path, headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag

    @pytest.mark.parametrize("operation", with_header("Idempotency-Key"))
    def test_idempotency_key_is_offered_by_operations_that_start_something(
        self, operation: Operation
    ) -> None:
        documented = operation.raw["responses"]
        success = next(CONTRACT.resolve(r) for status, r in documented.items() if status[0] == "2")
        assert operation.method == "post"
        assert "Idempotency-Replayed" in success["headers"]
        for status, code in (("409", "idempotency_key_in_use"), ("422", "idempotency_key_reused")):
            content = CONTRACT.resolve(documented[status])["content"]
            assert code in content["application/problem+json"]["examples"]

    def test_idempotency_key_is_offered_by_all_that_create(self) -> None:
        creating = {each.id for each in OPERATIONS.values() if "201" in each.raw["responses"]}
        offering = {
            each.id
            for each in OPERATIONS.values()
            if any(parameter.name == "Idempotency-Key" for parameter in each.parameters)
        }
        assert {*creating, "register", "login"} <= offering

    def test_no_other_header_is_read(self) -> None:
        names = {
            parameter.name
            for operation in OPERATIONS.values()
            for parameter in operation.parameters
            if parameter.location == "header"
        }
        assert names == {"If-Match", "If-None-Match", "Idempotency-Key"}

    def test_accept_language_is_read_by_all_of_them(self, scene: Scene) -> None:
        """So it is described once, and in no operation; tests/test_language.py has what it does."""
        described = CONTRACT.document["components"]["parameters"]["AcceptLanguage"]
        assert (described["name"], described["in"]) == ("Accept-Language", "header")
        for operation in OPERATIONS.values():
            path = re.sub(r"\{\w+\}", "x", operation.path) + "?unknown=1"
            german = {"Accept-Language": "de"}
            response = scene.caller.http.request(operation.method, path, headers=german)
            assert response.status_code in (400, 401, 403), operation.id
            assert response.headers["content-language"] == "de", operation.id
