"""``bt`` as a process, at a real server."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bugtracker_cli.output import clean

from tests.authenticator import Authenticator
from tests.processes import free_port
from tests.registering import Newcomer
from tests.timing import within
from tests.world import PASSWORD, Caller, Org, World
from tools.clients import BT, CLIENTS


@dataclass
class Device:
    """Somebody's computer, with ``bt`` on it."""

    config: Path
    server: str

    def bt(
        self, *arguments: str, code: int = 0, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command, which must end with this code."""
        ended = subprocess.run(
            [sys.executable, "-m", "bugtracker_cli", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(map(str, (BT, CLIENTS / "python"))),
                "XDG_CONFIG_HOME": str(self.config),
                "BT_SERVER": self.server,
                **environment,
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within(30),
        )
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        return ended

    def json(self, *arguments: str, **environment: str) -> Any:
        return json.loads(self.bt(*arguments, "--json", **environment).stdout)

    def log_in(self, username: str) -> None:
        stdin = f"{PASSWORD}\n"
        self.bt("login", "--username", username, "--password-stdin", stdin=stdin)

    @property
    def file(self) -> Path:
        return self.config / "bugtracker" / "sessions.json"

    def change_session(self, **fields: object) -> None:
        """Writes into the only session that is stored."""
        content = json.loads(self.file.read_text())
        content["sessions"][0].update(fields)
        self.file.write_text(json.dumps(content))


@pytest.fixture
def device(living_world: World, tmp_path: Path) -> Device:
    return Device(tmp_path, living_world.url)


@pytest.fixture
def org(living_world: World) -> Org:
    return living_world.create_org()


@pytest.fixture
def grace(org: Org) -> Caller:
    """The manager, who also uses the web."""
    return org.manager


@pytest.fixture
def key(grace: Caller) -> str:
    """The key of a project of hers."""
    return str(grace.create_project(key=f"T{uuid4().hex[:6].upper()}")["key"])


class TestBt:
    def test_takes_an_issue_from_report_to_close(
        self, device: Device, grace: Caller, key: str
    ) -> None:
        device.log_in(grace.username)
        made = device.json("create", key, "An hour off", "--priority=critical", "--mine")
        issue = f"{key}-1"
        assert (made["key"], made["assignee_id"]) == (issue, str(grace.id))
        device.bt("move", issue, "in_progress")
        device.bt("move", issue, "resolved")
        refusal = device.bt("move", issue, "closed", code=1).stderr
        assert "comment" in refusal
        device.bt("comment", issue, "-", stdin="Summer *time*.")
        device.bt("move", issue, "closed")
        shown = device.bt("show", issue.lower()).stdout
        for part in (issue, "closed", "critical", f"@{grace.username}", "Summer time."):
            assert part in shown

    def test_lists_what_the_filters_say_to_the_limit_or_the_end(
        self, device: Device, living_world: World, org: Org, grace: Caller, key: str
    ) -> None:
        project = grace.get("/api/projects", params={"search": key}).json()["items"][0]
        other = grace.create_project()
        grace.create_issue(project, title="Tide 7", priority="high")
        living_world.copy_issues(org, other, 101)
        device.log_in(grace.username)
        assert len(device.json("issues", "--all")) == 102
        either = "status==open,priority==high"
        found = device.json("issues", f"--project={key}", f"--filter={either}", "--status=open")
        assert [issue["title"] for issue in found] == ["Tide 7"]
        assert device.json("issues", "--mine") == []
        table = device.bt("issues", "--limit=1", "--sort=created_at", f"--project={key}").stdout
        assert [line.split()[0] for line in table.splitlines()] == ["key", f"{key}-1"]

    def test_keeps_tokens_that_only_the_user_can_read_until_logout(
        self, device: Device, grace: Caller
    ) -> None:
        device.log_in(grace.username)
        assert stat.S_IMODE(device.file.stat().st_mode) == 0o600
        assert stat.S_IMODE(device.file.parent.stat().st_mode) == 0o700
        kept = device.file.read_text()
        assert PASSWORD not in kept
        device.bt("logout")
        assert json.loads(device.file.read_text())["sessions"] == []
        assert "bt login" in device.bt("whoami", code=3).stderr
        # Nor is a copy of the file worth anything.
        device.file.write_text(kept)
        device.bt("whoami", code=3)

    def test_renews_its_token_once_when_many_run_at_the_same_time(
        self, device: Device, grace: Caller
    ) -> None:
        device.log_in(grace.username)
        device.change_session(expires_at=0)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: device.json("whoami")["id"], range(4)))
        assert found == [str(grace.id)] * 4
        # Now one that the server refuses before its end.
        device.change_session(access_token="ended")
        assert device.json("whoami")["role"] == "manager"

    def test_asks_for_the_second_factor(self, device: Device, living_world: World) -> None:
        mails = living_world.runtime.settings.mail_dir
        person = Newcomer(living_world.client(), mails).verified(org_name="Tide Tables")
        factor = Authenticator(living_world.runtime, person).switched_on()
        stdin = f"{PASSWORD}\n{factor.backup_codes[0]}\n"
        device.bt("login", "--username", person.email, "--password-stdin", stdin=stdin)
        assert person.email in device.file.read_text()

    def test_works_with_an_api_key_and_tells_by_its_exit_code_what_went_wrong(
        self, device: Device, org: Org, key: str
    ) -> None:
        scopes = ["projects.read", "issues.read", "issues.create"]
        made = org.admin.post("/api/api-keys", {"name": "Terminal", "scopes": scopes})
        token = {"BT_TOKEN": made.json()["key"]}
        assert key in device.bt("projects", **token).stdout
        problem = json.loads(device.bt("create", key, "", "--json", code=1, **token).stderr)
        assert problem["code"] == "request_invalid"
        assert {each["pointer"] for each in problem["errors"]} == {"/title"}
        device.bt("show", f"{key}-99", code=4, **token)
        assert "bt projects" in device.bt("create", "NOSUCH", "Lost", code=4, **token).stderr
        away = device.bt("projects", BT_SERVER=f"http://127.0.0.1:{free_port()}", code=5, **token)
        assert "cannot be reached" in away.stderr
        assert not device.file.exists()

    def test_completes_commands_in_the_shell(self, device: Device) -> None:
        assert "_BT_COMPLETE=zsh_complete" in device.bt("completion", "zsh").stdout
        asked = {"_BT_COMPLETE": "bash_complete", "COMP_WORDS": "bt move X-1 re", "COMP_CWORD": "3"}
        assert device.bt(**asked).stdout.splitlines() == ["plain,reopened", "plain,resolved"]

    def test_lets_nobodys_text_steer_the_terminal(self) -> None:
        assert clean("\x1b]0;mine\x07 \x9b2J\x7f\r ok\t\n") == "�]0;mine� �2J�� ok\t\n"
