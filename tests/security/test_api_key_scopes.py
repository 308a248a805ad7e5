"""Every operation by API keys with exactly the scopes it needs, and with one too few."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

import bugtracker
from bugtracker.contract import Contract
from bugtracker.security.permissions import ACCOUNT, SCOPES
from tests.security.test_permission_matrix import (
    OPERATIONS,
    Things,
    Try,
    archiving,
    ask,
    everything,
    managing,
    reads,
    things,
    writes,
)
from tests.world import Org, World, refused, without_id

# What an action needs besides the permission of its operation.
FINE = {
    "change assignee": "issues.assign",
    "archive project": "projects.archive",
    "remove member": "users.delete",
    "edit user": "users.update",
    "see deletion": "privacy.approve",
    "ask for deletion": "users.delete",
}
FOR_SESSIONS = ("cancel deletion", "export user")
"""What is no program's business: taking requests back, and having personal data."""


def needs(contract: Contract, attempt: Try) -> set[str]:
    """The scopes a key must have for this."""
    permission = contract.operations[attempt.operation].permission
    assert permission is not None
    return {permission, FINE.get(attempt.action, permission)}


def for_keys(contract: Contract, t: Things) -> list[Try]:
    """What can be done with a key, in an order in which all can be done."""
    attempts = [*reads(t), *writes(t), *managing(t), *archiving(t)]
    return [
        attempt
        for attempt in attempts
        if needs(contract, attempt) <= set(SCOPES) and attempt.action not in FOR_SESSIONS
    ]


@dataclass
class Scene:
    """Things of an owner who has a key with any scopes."""

    world: World
    org: Org
    contract: Contract
    things: Things

    def ask(self, scopes: set[str], attempt: Try) -> httpx.Response:
        key = self.org.owner.create_api_key(*scopes)
        with self.world.with_key(key) as client:
            return ask(client, self.contract, attempt)

    def prepare(self, attempt: Try) -> None:
        """Brings the project into the state that the attempt ends."""
        archived = attempt.body == {"is_archived": False}
        path = f"/api/projects/{self.things.project}"
        assert self.org.owner.patch(path, {"is_archived": archived}).status_code == 200


@pytest.fixture
def scene(world: World, org: Org, contract: Contract) -> Scene:
    return Scene(world, org, contract, things(org, org.owner, "author"))


class TestScopes:
    """Every operation, with exactly the scopes it needs, and with all but one of them."""

    def test_those_that_are_needed_are_enough(self, scene: Scene) -> None:
        for attempt in for_keys(scene.contract, scene.things):
            scene.prepare(attempt)
            response = scene.ask(needs(scene.contract, attempt), attempt)
            assert response.is_success, f"{attempt}: {response.text}"

    def test_without_one_of_them_everything_else_is_not(self, scene: Scene) -> None:
        for attempt in for_keys(scene.contract, scene.things):
            scene.prepare(attempt)
            for missing in needs(scene.contract, attempt):
                response = scene.ask(set(SCOPES) - {missing}, attempt)
                problem = refused(response, 403, "permission_denied")
                assert missing in problem["detail"], attempt

    def test_none_of_them_manages_keys(self, scene: Scene) -> None:
        keys = [each for each in managing(scene.things) if each.action == "manage api keys"]
        assert len(keys) == 6
        for attempt in keys:
            problem = refused(scene.ask(set(SCOPES), attempt), 403, "permission_denied")
            assert "api_keys.manage" in problem["detail"]
        assert "api_keys.manage" not in SCOPES

    def test_none_of_them_does_what_needs_a_session(self, scene: Scene) -> None:
        for attempt in writes(scene.things):
            if attempt.action in FOR_SESSIONS:
                refused(scene.ask(set(SCOPES), attempt), 403, "session_required")

    def test_none_of_them_hands_the_organisation_over(self, scene: Scene) -> None:
        left_out = [
            attempt
            for attempt in writes(scene.things)
            if not needs(scene.contract, attempt) <= set(SCOPES)
        ]
        assert [attempt.operation for attempt in left_out] == ["transfer_organisation"]
        refused(scene.ask(set(SCOPES), left_out[0]), 403, "permission_denied")

    def test_none_of_them_makes_its_maker_leave(self, scene: Scene) -> None:
        owner = scene.org.owner
        path = f"/api/organisations/{scene.org.id}/members/{owner.id}"
        attempt = Try("remove member", "remove_member", path)
        refused(scene.ask(set(SCOPES), attempt), 403, "session_required")

    def test_none_of_them_opens_the_account(self, scene: Scene) -> None:
        accounts = [name for name, row in OPERATIONS.items() if row == ACCOUNT]
        assert len(accounts) >= 6
        with scene.world.with_key(scene.org.owner.create_api_key(*SCOPES)) as client:
            for name in accounts:
                operation = scene.contract.operations[name]
                path = operation.path.replace("{session_id}", str(scene.org.owner.session_id))
                path = path.replace("{organisation_id}", str(scene.org.id))
                response = client.request(operation.method, path, json={})
                refused(response, 403, "session_required")
        assert scene.org.owner.get("/api/auth/me").status_code == 200

    def test_every_operation_is_tried(self, scene: Scene) -> None:
        tried = {attempt.operation for attempt in everything(scene.things)}
        rest = {name for name in OPERATIONS if name not in tried}
        assert {OPERATIONS[name] for name in rest} == {ACCOUNT, "public", "partner"}

    def test_are_asked_for_wherever_the_role_is(self) -> None:
        """Whoever reads the caller's role himself forgets the scopes."""
        code = Path(bugtracker.__file__).parent
        readers = {
            path.relative_to(code).as_posix()
            for path in code.rglob("*.py")
            if "principal.role" in path.read_text(encoding="utf-8")
        }
        # Two say what the role is; the other one is for sessions only.
        told = {"serializers/accounts.py", "services/api_keys.py"}
        assert readers - told == {"security/authentication.py", "security/permissions.py"}


class TestForeign:
    def test_keys_reach_nothing_of_another_organisation(self, scene: Scene) -> None:
        stranger = scene.world.create_org().owner.create_api_key(*SCOPES)
        t = scene.things
        nothing = Things(*(str(uuid4()) for _ in range(3)), t.developer, str(uuid4()))
        with scene.world.with_key(stranger) as client:
            pairs = zip(for_keys(scene.contract, t), for_keys(scene.contract, nothing), strict=True)
            for foreign, missing in pairs:
                if "{" in scene.contract.operations[foreign.operation].path:
                    answers = [ask(client, scene.contract, each) for each in (foreign, missing)]
                    problems = [refused(each, 404, "resource_not_found") for each in answers]
                    assert without_id(problems[0]) == without_id(problems[1])
