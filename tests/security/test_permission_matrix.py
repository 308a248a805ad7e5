"""Role by relation by operation over HTTP, from the matrix of the requirements."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from bugtracker.contract import Contract, Operation
from bugtracker.models.organisation import Role
from tests.security import matrix_organisations as organisations
from tests.security import matrix_webhooks as webhooks
from tests.world import Caller, Json, Org, World, refused

# The permission matrix of the requirements (T12), as it stands there. A reporter or assignee is
# the caller in relation to that one issue. Its last rows are of the table of permissions by role.
MATRIX = """
action           | auditor | member | developer | reporter | assignee | manager | admin  | owner
view             | yes     | yes    | yes       | yes      | yes      | yes     | yes    | yes
create project   | no      | no     | no        | no       | no       | yes     | yes    | yes
edit project     | no      | no     | no        | no       | no       | yes     | yes    | yes
archive project  | no      | no     | no        | no       | no       | creator | yes    | yes
create issue     | no      | yes    | yes       | yes      | yes      | yes     | yes    | yes
edit issue       | no      | no     | no        | yes      | yes      | yes     | yes    | yes
change assignee  | no      | no     | no        | yes      | no       | yes     | yes    | yes
add comment      | no      | yes    | yes       | yes      | yes      | yes     | yes    | yes
edit comment     | no      | author | author    | author   | author   | author  | author | author
manage api keys  | no      | no     | no        | no       | no       | no      | yes    | yes
read audit       | yes     | no     | no        | no       | no       | no      | yes    | yes
"""
LINES = "".join((MATRIX.strip(), organisations.MATRIX.rstrip(), webhooks.MATRIX.rstrip())).split(
    "\n"
)
HEAD, *ROWS = [[cell.strip() for cell in line.split("|")] for line in LINES]
TABLE = {row[0]: dict(zip(HEAD[1:], row[1:], strict=True)) for row in ROWS}

# Decisions of the requirements: a project's creator may edit its issues like a manager; and what
# somebody may do to their own needs that they may create ("everybody who may create").
LIKE_A_MANAGER = ("edit issue", "change assignee")
MAY_CREATE = ("member", "developer", "manager", "admin", "owner")

ROLES: tuple[Role, ...] = ("auditor", "member", "developer", "manager", "admin", "owner")
RELATIONS = ("none", "creator", "reporter", "assignee", "author")

PUBLIC, ACCOUNT, PARTNER = "public", "account", "partner"
OPERATIONS: dict[str, str | tuple[str, ...]] = {
    "register": PUBLIC,
    "verify_email": PUBLIC,
    "resend_verification": PUBLIC,
    "login": PUBLIC,
    "refresh": PUBLIC,
    "logout": PUBLIC,
    "redirect_register": PUBLIC,
    "redirect_login": PUBLIC,
    "get_jwks": PUBLIC,
    "get_health": PUBLIC,
    "get_readiness": PUBLIC,
    "get_me": ACCOUNT,
    "update_me": ACCOUNT,
    "list_my_activity": ACCOUNT,
    "list_sessions": ACCOUNT,
    "delete_session": ACCOUNT,
    "logout_all": ACCOUNT,
    "change_password": ACCOUNT,
    "request_password_reset": PUBLIC,
    "reset_password": PUBLIC,
    "complete_login": PUBLIC,
    "request_magic_link": PUBLIC,
    "login_by_magic_link": PUBLIC,
    "get_two_factor": ACCOUNT,
    "enrol_two_factor": ACCOUNT,
    "confirm_two_factor": ACCOUNT,
    "disable_two_factor": ACCOUNT,
    "delete_account": ACCOUNT,
    "regenerate_backup_codes": ACCOUNT,
    "list_api_keys": ("manage api keys",),
    "create_api_key": ("manage api keys",),
    "get_api_key": ("manage api keys",),
    "update_api_key": ("manage api keys",),
    "rotate_api_key": ("manage api keys",),
    "revoke_api_key": ("manage api keys",),
    "list_projects": ("view",),
    "create_project": ("create project",),
    "get_project": ("view",),
    "get_project_statistics": ("view",),
    "update_project": ("edit project", "archive project"),
    "delete_project": ("archive project",),
    "list_issues": ("view",),
    "list_all_issues": ("view",),
    "create_issue": ("create issue",),
    "get_issue": ("view",),
    "update_issue": ("edit issue", "change assignee"),
    "list_issue_history": ("view",),
    "list_comments": ("view",),
    "create_comment": ("add comment",),
    "get_comment": ("view",),
    "update_comment": ("edit comment",),
    "search": ("view",),
    "follow_events": ("view",),
    "list_audit_events": ("read audit",),
    "export_audit_events": ("read audit",),
    "verify_audit": ("read audit",),
    "provision_organisation": PARTNER,
    "get_provisioning": PARTNER,
    "resend_owner_invitation": PARTNER,
    **organisations.OPERATIONS,
    **webhooks.OPERATIONS,
}
IN_AN_ORGANISATION = {name for name, row in OPERATIONS.items() if isinstance(row, tuple)}


def allowed(action: str, role: Role, relation: str) -> bool:
    """What the table says about a caller of this role in this one relation."""
    row = TABLE[action]
    cells = [row[role]]
    if role in MAY_CREATE:
        cells.append(row.get(relation, "no"))
        if relation == "creator" and action in LIKE_A_MANAGER:
            cells.append(row["manager"])
    return "yes" in cells or relation in cells


@dataclass(frozen=True)
class Things:
    """A project with an issue with a comment, somebody who can be assigned, and an API key."""

    project: str
    issue: str
    comment: str
    developer: str
    api_key: str
    organisation: organisations.Things = organisations.NOWHERE
    webhook: webhooks.Things = webhooks.NOWHERE


@dataclass(frozen=True)
class Try:
    """A request, and the action of the table that it is."""

    action: str
    operation: str
    path: str
    body: Json | None = None


def reads(t: Things) -> list[Try]:
    return [
        Try("view", "list_projects", "/api/projects"),
        Try("view", "get_project", f"/api/projects/{t.project}"),
        Try("view", "get_project_statistics", f"/api/projects/{t.project}/statistics"),
        Try("view", "list_issues", f"/api/projects/{t.project}/issues"),
        Try("view", "list_all_issues", "/api/issues"),
        Try("view", "get_issue", f"/api/issues/{t.issue}"),
        Try("view", "list_issue_history", f"/api/issues/{t.issue}/history"),
        Try("view", "list_comments", f"/api/issues/{t.issue}/comments"),
        Try("view", "get_comment", f"/api/comments/{t.comment}"),
        Try("view", "search", "/api/search?q=leak"),
        Try("view", "follow_events", "/api/events?after=beginning"),
        Try("read audit", "list_audit_events", "/api/audit"),
        Try("read audit", "export_audit_events", "/api/audit/export"),
        Try("read audit", "verify_audit", "/api/audit/verify"),
        Try("view", "list_issue_actions", f"/api/issues/{t.issue}/actions"),
        Try("view", "list_project_actions", f"/api/projects/{t.project}/actions"),
        *(Try(*row) for row in organisations.reads(t.organisation)),
    ]


def writes(t: Things) -> list[Try]:
    """Changes that do not get into each other's way, in this order."""
    project, issue = f"/api/projects/{t.project}", f"/api/issues/{t.issue}"
    return [
        Try("create project", "create_project", "/api/projects", {"name": f"New {uuid4()}"}),
        Try("edit project", "update_project", project, {"name": f"Renamed {uuid4()}"}),
        Try("edit project", "update_project", project, {"description": "Renamed"}),
        Try("create issue", "create_issue", f"{project}/issues", {"title": "New"}),
        Try("edit issue", "update_issue", issue, {"title": "Flood", "description": "Water"}),
        Try("edit issue", "update_issue", issue, {"status": "in_progress"}),
        Try("edit issue", "update_issue", issue, {"priority": "low", "due_date": "2026-01-01"}),
        Try("add comment", "create_comment", f"{issue}/comments", {"content": "New"}),
        Try("edit comment", "update_comment", f"/api/comments/{t.comment}", {"content": "x"}),
        Try("change assignee", "update_issue", issue, {"assignee_id": t.developer}),
        Try("change assignee", "update_issue", issue, {"assignee_id": None}),
        *(Try(*row) for row in organisations.writes(t.organisation, t.developer)),
    ]


def archiving(t: Things) -> list[Try]:
    """Each needs the project in the state that it ends."""
    path = f"/api/projects/{t.project}"
    return [
        Try("archive project", "delete_project", path),
        Try("archive project", "update_project", path, {"is_archived": False}),
        Try("archive project", "update_project", path, {"is_archived": True}),
    ]


def managing(t: Things) -> list[Try]:
    """What is done to API keys and webhooks, in an order in which all can be done."""
    action, keys, key = "manage api keys", "/api/api-keys", f"/api/api-keys/{t.api_key}"
    return [
        Try(action, "list_api_keys", keys),
        Try(action, "get_api_key", key),
        Try(action, "create_api_key", keys, {"name": "New", "scopes": ["issues.read"]}),
        Try(action, "update_api_key", key, {"name": "Renamed"}),
        Try(action, "rotate_api_key", f"{key}/rotate", {}),
        Try(action, "revoke_api_key", key),
        *(Try(*row) for row in webhooks.rows(t.webhook)),
    ]


def everything(t: Things) -> list[Try]:
    return [*reads(t), *writes(t), *managing(t), *archiving(t)]


def ask(client: httpx.Client, contract: Contract, attempt: Try) -> httpx.Response:
    operation = contract.operations[attempt.operation]
    headers = {"If-Match": "*"} if "428" in operation.raw["responses"] else {}
    return client.request(operation.method, attempt.path, json=attempt.body, headers=headers)


def things(org: Org, somebody: Caller, relation: str) -> Things:
    """Things of others, but for the one that ``somebody`` stands in the relation to."""
    others = org.caller("owner", "other")
    by = {name: somebody if name == relation else others for name in RELATIONS}
    project = by["creator"].create_project()
    assignee = {"assignee_id": str(somebody.id)} if relation == "assignee" else {}
    issue = by["reporter"].create_issue(project, **assignee)
    comment = by["author"].create_comment(issue)
    key = others.create_api_key()["api_key"]
    ids = project["id"], issue["id"], comment["id"], str(org.developer.id), key["id"]
    return Things(*ids, organisations.things(org), webhooks.things(others))


class TestMatrix:
    def test_every_operation_of_the_contract_has_a_row(self, contract: Contract) -> None:
        assert set(OPERATIONS) == set(contract.operations)

    def test_every_row_is_tried(self) -> None:
        attempts = everything(Things("p", "i", "c", "d", "k"))
        tried: dict[str, set[str]] = {}
        for attempt in attempts:
            tried.setdefault(attempt.operation, set()).add(attempt.action)
        assert tried == {name: set(OPERATIONS[name]) for name in IN_AN_ORGANISATION}
        assert {attempt.action for attempt in attempts} == set(TABLE)

    @pytest.mark.parametrize("relation", RELATIONS)
    @pytest.mark.parametrize("role", ROLES)
    def test_everybody_may_what_the_table_says_and_nothing_else(
        self, world: World, org: Org, contract: Contract, role: Role, relation: str
    ) -> None:
        caller = org.caller("owner", "caller")
        t = things(org, caller, relation)
        world.set_role(org, caller, role)
        for attempt, response in self._try_all(org, contract, caller, t):
            expected = allowed(attempt.action, role, relation)
            if expected:
                assert response.is_success, f"{attempt}: {response.text}"
            else:
                refused(response, 403, "permission_denied")

    def _try_all(
        self, org: Org, contract: Contract, caller: Caller, t: Things
    ) -> Iterator[tuple[Try, httpx.Response]]:
        for attempt in [*reads(t), *writes(t), *managing(t)]:
            yield attempt, ask(caller.http, contract, attempt)
        for attempt, archived in zip(archiving(t), (False, True, False), strict=True):
            org.owner.patch(f"/api/projects/{t.project}", {"is_archived": archived})
            yield attempt, ask(caller.http, contract, attempt)


class TestAnonymous:
    def test_may_nothing_in_an_organisation(
        self, org: Org, contract: Contract, anonymous: httpx.Client
    ) -> None:
        t = things(org, org.owner, "none")
        for attempt in everything(t):
            response = ask(anonymous, contract, attempt)
            refused(response, 401, "authentication_required")
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert org.owner.get(f"/api/issues/{t.issue}").json()["version"] == 1

    def test_is_asked_for_a_token_before_anything_else(
        self, contract: Contract, anonymous: httpx.Client
    ) -> None:
        for attempt in everything(Things(*["no-id"] * 5)):
            response = ask(anonymous, contract, attempt)
            refused(response, 401, "authentication_required")

    def test_may_use_what_is_public_and_no_account(
        self, contract: Contract, anonymous: httpx.Client
    ) -> None:
        for name, row in OPERATIONS.items():
            if row in (PUBLIC, ACCOUNT):
                asked = _asked_for_a_token(anonymous, contract.operations[name])
                assert asked is (row == ACCOUNT), name

    def test_may_nothing_that_is_for_partners_whoever_it_is(
        self, org: Org, contract: Contract, anonymous: httpx.Client
    ) -> None:
        for name in (name for name, row in OPERATIONS.items() if row == PARTNER):
            operation = contract.operations[name]
            for client in (anonymous, org.owner.http):
                response = client.request(operation.method, operation.path, json={})
                refused(response, 401, "partner_credentials_invalid")
                assert response.headers["WWW-Authenticate"].startswith("Bugtracker-HMAC")


def _asked_for_a_token(client: httpx.Client, operation: Operation) -> bool:
    response = client.request(operation.method, operation.path, json={})
    is_problem = response.headers.get("content-type", "").endswith("problem+json")
    return is_problem and bool(response.json()["code"] == "authentication_required")


class TestWithoutOrganisation:
    def test_may_only_manage_the_account(self, world: World, org: Org, contract: Contract) -> None:
        loner = world.create_loner()
        for attempt in everything(things(org, org.owner, "none")):
            response = ask(loner.http, contract, attempt)
            refused(response, 403, "organisation_required")
        assert loner.get("/api/auth/me").status_code == 200
