"""bugtracker serve, migrate, check: as processes, as an operator meets them."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from bugtracker.ids import new_id
from bugtracker.runtime import Runtime
from tests import processes
from tests.cli.conftest import Run
from tests.metrics.scraping import scrape
from tests.processes import COMMAND, free_port
from tests.world import Org


@contextmanager
def served(directory: Path, port: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    """``bugtracker serve`` with the embedded default."""
    given = {"BUGTRACKER_LOCAL_DIR": str(directory), "BUGTRACKER_PORT": str(port)}
    with processes.served({**given, **more}) as process:
        yield process


def log_in(port: int) -> httpx.Response:
    """As the demo owner, whose password the banner shows."""
    body = {"email": "owner@demo.example", "password": "Tidal-Library-1843"}
    return httpx.post(f"http://127.0.0.1:{port}/api/auth/login", json=body)


def rename_demo(port: int, slug: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        client.headers["Authorization"] = f"Bearer {log_in(port).json()['access_token']}"
        organisation = client.get("/api/auth/me").json()["org_id"]
        renamed = client.patch(f"/api/organisations/{organisation}", json={"slug": slug})
        assert renamed.json()["slug"] == slug, renamed.text


def stop(process: "subprocess.Popen[str]") -> str:
    """Ends the server as Ctrl-C does; what it said."""
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    return said


def running_servers(directory: Path) -> list[str]:
    """Database processes whose command line names the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(directory) in line and "postgres" in line:
                found.append(line)
    return found


class TestServe:
    def test_from_nothing_to_a_login_and_again_with_the_data_kept(self, tmp_path: Path) -> None:
        port, metrics = free_port(), free_port()
        with served(tmp_path, port, BUGTRACKER_METRICS_PORT=str(metrics)) as process:
            assert log_in(port).status_code == 200
            accepted = 'bugtracker_login_attempts_total{operation="login",outcome="accepted"}'
            assert scrape(metrics)[accepted] == 1
            process.send_signal(signal.SIGINT)
            banner = process.communicate(timeout=30)[1]
            assert process.returncode == 0
        for page in ("docs", "reference"):
            assert f"http://127.0.0.1:{port}/{page}" in banner
        assert "owner@demo.example" in banner
        assert "made just now" in banner
        assert running_servers(tmp_path) == []
        with served(tmp_path, port) as process:
            assert log_in(port).status_code == 200
            process.send_signal(signal.SIGTERM)
            banner = process.communicate(timeout=30)[1]
            assert process.returncode == 0
        assert "kept from before" in banner
        assert running_servers(tmp_path) == []

    def test_again_after_the_demo_was_renamed(self, tmp_path: Path) -> None:
        port, elsewhere = free_port(), {"BUGTRACKER_OPEN_ORGANISATION": "another"}
        with served(tmp_path, port, **elsewhere) as process:
            rename_demo(port, "renamed-demo")
            stop(process)
        with served(tmp_path, port, **elsewhere) as process:
            assert log_in(port).status_code == 200
            assert "organisation 'renamed-demo' (kept from before)" in stop(process)

    def test_without_a_demo_where_somebody_else_has_its_names(self, tmp_path: Path) -> None:
        port = free_port()
        names = ("--email", "owner@demo.example", "--username", "first", "--org", "first")
        subprocess.run(
            [*COMMAND, "create-user", *names, "--role", "member", "--password-stdin"],
            env={**os.environ, "BUGTRACKER_LOCAL_DIR": str(tmp_path)},
            input="Tidal-Library-1843",
            text=True,
            check=True,
            timeout=180,
        )
        with served(tmp_path, port) as process:
            assert log_in(port).status_code == 200
            said = stop(process)
        assert "Warning: there is no demo, somebody has a name it wants" in said
        assert "Demo logins" not in said

    def test_a_port_in_use_is_a_clear_error(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            environment = {
                **os.environ,
                "BUGTRACKER_LOCAL_DIR": str(tmp_path),
                "BUGTRACKER_PORT": str(port),
                "BUGTRACKER_BCRYPT_COST": "4",
            }
            result = subprocess.run(
                [*COMMAND, "serve"], env=environment, capture_output=True, text=True, timeout=60
            )
        assert result.returncode == 1
        assert "BUGTRACKER_PORT" in result.stderr

    def test_the_secret_is_for_its_owner_only(self, tmp_path: Path) -> None:
        result = subprocess.run(
            [*COMMAND, "check"],
            env={**os.environ, "BUGTRACKER_LOCAL_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        secret = tmp_path / "secret_key"
        assert secret.stat().st_mode & 0o077 == 0
        assert secret.read_text() not in result.stdout


class TestMigrate:
    def test_says_where_the_schema_is(self, run: Run) -> None:
        result = run("migrate")
        assert result.exit_code == 0, result.output
        assert re.search(r"already at \d{4}", result.stdout)

    def test_an_unreachable_database_is_one_line(self, run: Run) -> None:
        nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
        env = {"DATABASE_URL": nowhere, "BUGTRACKER_OWNER_DATABASE_URL": nowhere}
        result = run("migrate", env=env)
        assert result.exit_code == 1
        assert "cannot reach the database" in result.stderr


class TestCheck:
    def test_shows_the_settings_without_secrets(self, run: Run) -> None:
        result = run("check")
        assert result.exit_code == 0, result.output
        assert "BUGTRACKER_RATE_LIMIT_LOGIN" in result.stdout
        assert "a test secret" not in result.stdout
        assert "All is well." in result.stdout

    def test_names_what_is_wrong_with_a_setting(self, run: Run) -> None:
        result = run("check", env={"BUGTRACKER_RATE_LIMIT_LOGIN": "often"})
        assert result.exit_code == 1
        assert "BUGTRACKER_RATE_LIMIT_LOGIN" in result.stderr

    @pytest.mark.parametrize("command", ["check", "serve", "worker"])
    def test_names_a_list_of_passwords_that_is_not_there(
        self, run: Run, tmp_path: Path, command: str
    ) -> None:
        for path in (tmp_path, tmp_path / "nothing.txt"):
            result = run(command, env={"BUGTRACKER_COMMON_PASSWORDS_FILE": str(path)})
            assert result.exit_code == 1
            assert f"BUGTRACKER_COMMON_PASSWORDS_FILE: Value error, {path} is not" in result.stderr

    def test_warns_of_variables_that_no_setting_has(self, run: Run) -> None:
        given = {"BUGTRACKER_RATE_LIMT_LOGIN": "5 per minute", "BUGTRACKER_URL": "http://x"}
        result = run("check", env=given)
        assert result.exit_code == 0, result.output
        meant = "BUGTRACKER_RATE_LIMT_LOGIN is no setting; is BUGTRACKER_RATE_LIMIT_LOGIN meant?"
        assert f"warning: {meant}" in result.stderr
        assert "BUGTRACKER_URL is" not in result.stderr
        assert "All is well." not in result.stdout

    def test_warns_of_an_open_organisation_that_does_not_exist(self, run: Run, org: Org) -> None:
        result = run("check", env={"BUGTRACKER_OPEN_ORGANISATION": f"{org.slug}-gone"})
        assert result.exit_code == 0, result.output
        assert f"warning: no organisation has the slug '{org.slug}-gone'" in result.stderr
        there = run("check", env={"BUGTRACKER_OPEN_ORGANISATION": org.slug})
        assert "warning" not in there.stderr

    def test_an_unreachable_database_is_a_problem(self, run: Run) -> None:
        result = run("check", env={"DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/x"})
        assert result.exit_code == 1
        assert "database" in result.stderr

    def test_another_secret_than_the_keys_were_encrypted_with_is_a_problem(self, run: Run) -> None:
        run("check")
        result = run(
            "check", env={"BUGTRACKER_SECRET_KEY": "a secret of 32 characters, but not ours"}
        )
        assert result.exit_code == 1
        assert "BUGTRACKER_SECRET_KEY" in result.stderr


class TestHelp:
    @pytest.mark.parametrize(
        "command", ["serve", "worker", "migrate", "check", "seed", "import", "create-user"]
    )
    def test_every_command_has_help(self, run: Run, command: str) -> None:
        result = run(command, "--help")
        assert result.exit_code == 0
        assert len(result.stdout) > 100


class TestWorker:
    def test_does_what_was_queued_and_stops_when_told(
        self, runtime: Runtime, environment: dict[str, str], tmp_path: Path
    ) -> None:
        account_id = new_id()
        process = subprocess.Popen(
            [*COMMAND, "worker"],
            env={**os.environ, **environment, "BUGTRACKER_LOCAL_DIR": str(tmp_path)},
        )
        try:
            with runtime.db.transaction() as session:
                job = runtime.queue.defer(session, "mail.address_known", account_id=account_id)
            deadline = time.monotonic() + 30
            while job_status(runtime, job) != "succeeded":
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def job_status(runtime: Runtime, job: int | None) -> str:
    with runtime.db.read() as connection:
        query = text("SELECT status::text FROM procrastinate_jobs WHERE id = :id")
        status: str = connection.execute(query, {"id": job}).scalar_one()
        return status
