"""Schemathesis against the live server, from the contract it serves: it finds nothing.

All checks, and operations that follow each other by the links of the contract. A short, repeatable
run here; ``make fuzz`` sets SCHEMATHESIS_MAX_EXAMPLES and a seed, drawn anew each time or given to
repeat a run, and has callers of more kinds.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bugtracker.contract import load_contract
from bugtracker.models.organisation import Role
from tests.serving import Server
from tests.world import Caller, Org, World

EXAMPLES = os.environ.get("SCHEMATHESIS_MAX_EXAMPLES")
SEED = os.environ.get("SCHEMATHESIS_SEED")
# Without "stateful": there the links say what paths name, here we do or chance does.
SINGLE = "examples,coverage,fuzzing"
# None is an API key of the owner's.
KINDS: tuple[Role | None, ...] = (None, "manager", "developer", "auditor") if EXAMPLES else (None,)

# 410, 412 and 422 depend on the state, as 409 does. 428 is for a header that is not required by its
# schema, a missing one would be 400 else. A cursor that nobody was given, page beside cursor, and
# most random filters are 400: OpenAPI 3.0 can say none of it.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 410, 412, 422, 428]

# What is wrong and too long as well is refused for its length.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 428, 429]

[[operations]]
include-operation-id = [
  "list_projects", "list_issues", "list_comments", "list_issue_history", "list_sessions",
  "list_my_activity", "list_api_keys", "list_organisations", "list_members", "list_invitations",
  "list_all_issues", "list_audit_events", "export_audit_events", "list_users", "search",
  "list_deletion_requests", "list_inactive_users", "list_webhooks", "list_webhook_deliveries",
  "follow_events", "get_project_statistics", "get_rate_limit_analytics",
]
[operations.checks.positive_data_acceptance]
expected-statuses = [200, 400, 401, 403, 404]

# The coverage phase writes headers of letters and digits only, and takes its "0" for an ETag.
[[operations]]
include-operation-id = [
  "update_project", "delete_project", "update_issue", "update_comment", "update_api_key",
  "revoke_api_key", "update_organisation", "update_member", "revoke_invitation",
  "update_user", "delete_user", "update_webhook", "delete_webhook", "update_me",
]
[operations.phases.coverage.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412, 422, 428]

# DELETE archives: the project and what is in it can still be read. A revoked key and a deleted
# user, too.
[[operations]]
include-path-regex = "^/api/(projects|api-keys|users)/"
[operations.checks.use_after_free]
enabled = false

# A random filter is none, and a replay of everything must say where to begin; and random hosts are
# no receivers.
[[operations]]
include-operation-id = ["create_webhook", "update_webhook", "replay_webhook_deliveries"]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412, 422]

# The path names a member who exists, until one of the requests removes them: 404 is right then,
# whichever organisation was made a moment ago.
[[operations]]
include-path-regex = "/members/"
[operations.checks.ensure_resource_availability]
enabled = false
"""
# A caller who ends their own session is refused everything after that: these are tried by another.
ENDS_THE_RUN = ("logout_all", "delete_session", "delete_account")

# Left alone it would sign up by itself: nobody verifies its address.
NO_SIGN_UP = """
[auth]
auto-signup = false
"""


def fuzz(server: Server, directory: Path, *options: str, config: str = "") -> None:
    """Runs Schemathesis; AssertionError with its report when it finds something."""
    file = directory / "schemathesis.toml"
    file.write_text(CONFIG + config)
    fixed = ["--max-examples", EXAMPLES] if EXAMPLES else ["--generation-deterministic"]
    fixed += ["--seed", SEED] if SEED else []
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(file), "run"]
    # A long poll takes up to 30 seconds.
    command += ["--checks", "all", "--request-timeout", "60", "--max-response-time", "40"]
    target = [f"{server.url}/openapi.json", "--no-color", "--warnings", "off"]
    # Options come last: a run may set its own number of examples.
    run = subprocess.run(
        [*command, *target, *options, *fixed],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert "No issues found" in run.stdout


def with_token(token: str) -> list[str]:
    return ["--header", f"Authorization: {token}"]


def as_caller(caller: Caller) -> list[str]:
    excluded = [part for name in ENDS_THE_RUN for part in ("--exclude-operation-id", name)]
    return [*with_token(caller.authorization["Authorization"]), *excluded]


def key_of(owner: Caller) -> str:
    """A token that may do all that a key can do."""
    scopes = load_contract().document["components"]["schemas"]["ApiKeyScope"]["enum"]
    return f"Bearer {owner.create_api_key(*scopes)['key']}"


def as_kind(org: Org, role: Role | None) -> list[str]:
    """The organisation's caller of this role; with None, a key of its owner's."""
    return as_caller(org.caller(role)) if role else with_token(key_of(org.owner))


def things_of(org: Org) -> str:
    """Configuration that makes path parameters name things that exist."""
    caller = org.owner
    project = caller.create_project()
    issue = caller.create_issue(project, description="It is **wrong**.")
    comment = caller.create_comment(issue)
    key = caller.create_api_key()
    webhook = caller.create_webhook()["webhook"]["id"]
    caller.move(caller.create_issue(project, priority="critical"), "in_progress", "resolved")
    return f"""
[parameters]
"path.project_id" = "{project["id"]}"
"path.issue_id" = "{issue["id"]}"
"path.comment_id" = "{comment["id"]}"
"path.api_key_id" = "{key["api_key"]["id"]}"
"path.webhook_id" = "{webhook}"
"path.event_id" = "{caller.ping(webhook)}"
"path.organisation_id" = "{org.id}"
"path.user_id" = "{org.caller("member", "another").id}"
"""


@pytest.mark.timeout(0 if EXAMPLES else 600)
class TestSchemathesis:
    def test_finds_nothing_as_owner_of_things(
        self, world: World, server: Server, tmp_path: Path
    ) -> None:
        org = world.create_org()
        options = ["--phases", SINGLE, "--max-examples", "8", *as_caller(org.owner)]
        fuzz(server, tmp_path, *options, config=things_of(org))

    def test_finds_nothing_as_member_who_guesses(
        self, world: World, server: Server, tmp_path: Path
    ) -> None:
        member = world.create_org().member
        phases = "coverage,fuzzing" if EXAMPLES else "fuzzing"
        options = ["--phases", phases, "--max-examples", "4", *as_caller(member)]
        fuzz(server, tmp_path, *options)

    @pytest.mark.parametrize("role", KINDS)
    def test_finds_nothing_as_others_who_know_things(
        self, world: World, server: Server, tmp_path: Path, role: Role | None
    ) -> None:
        org = world.create_org()
        options = ["--phases", "fuzzing", "--max-examples", "2", *as_kind(org, role)]
        fuzz(server, tmp_path, *options, config=things_of(org))

    @pytest.mark.parametrize("role", ["owner", *KINDS])
    def test_finds_nothing_along_the_links(
        self, world: World, server: Server, tmp_path: Path, role: Role | None
    ) -> None:
        options = ["--phases", "stateful", "--max-examples", "4"]
        fuzz(server, tmp_path, *options, *as_kind(world.create_org(), role))

    def test_finds_nothing_in_the_ends_of_a_session(
        self, world: World, server: Server, tmp_path: Path
    ) -> None:
        token = world.create_org().member.authorization["Authorization"]
        ends = [part for name in ENDS_THE_RUN for part in ("--include-operation-id", name)]
        options = ["--phases", SINGLE, "--max-examples", "4", *with_token(token), *ends]
        fuzz(server, tmp_path, *options)

    def test_finds_nothing_without_a_token(self, server: Server, tmp_path: Path) -> None:
        options = ["--phases", "examples,coverage,fuzzing", "--max-examples", "3"]
        fuzz(server, tmp_path, *options, config=NO_SIGN_UP)
