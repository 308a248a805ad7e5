"""docker-compose.yml: who reaches whom, and as whom everything runs."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from bugtracker.cli.environment import EXAMPLE
from bugtracker.cli.names import environment_variable
from bugtracker.embedded import embedded_postgres
from bugtracker.embedded.programs import find_programs
from bugtracker.migrate import migrate
from bugtracker.revisions import head_revision
from bugtracker.settings import PROJECT_ROOT, Settings
from tests.deploy.test_environment import entries

TEXT = (PROJECT_ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROGRAM = ("migrate", "api", "worker")
NOT_IN_A_CONTAINER = {"host", "port", "run_worker", "local_dir", "log_format"}
"""Settings that the image has itself."""


def networks(service: str) -> set[str]:
    return set(SERVICES[service]["networks"])


def neighbours(service: str) -> set[str]:
    """Who can be reached from a service."""
    return {other for other in SERVICES if other != service and networks(service) & networks(other)}


class TestServices:
    def test_all_are_there(self) -> None:
        always = {name for name, service in SERVICES.items() if "profiles" not in service}
        assert always == {"postgres", "redis", "migrate", "api", "worker", "nginx"}
        assert set(SERVICES) - always == {"mailpit", "prometheus", "grafana"}
        assert SERVICES["api"]["deploy"]["replicas"] == 2

    @pytest.mark.parametrize("name", SERVICES)
    def test_each_is_hardened(self, name: str) -> None:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "mem_limit" in service
        assert "pids_limit" in service
        if name not in PROGRAM:
            user = re.sub(r"\$\{\w+:-(.*)\}", r"\1", service["user"])
            assert re.fullmatch(r"[1-9]\d*:\d+", user)
            tag = service["image"].rpartition(":")[2]
            assert re.search(r"\d", tag), "an image without a version"

    @pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
    def test_each_has_a_health_check(self, name: str) -> None:
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")

    def test_they_start_when_what_they_need_is_well(self) -> None:
        def needs(name: str) -> dict[str, str]:
            waits: dict[str, dict[str, str]] = SERVICES[name]["depends_on"]
            return {other: how["condition"] for other, how in waits.items()}

        healthy, done = "service_healthy", "service_completed_successfully"
        assert needs("migrate") == {"postgres": healthy}
        assert needs("api") == {"postgres": healthy, "redis": healthy, "migrate": done}
        assert needs("worker") == {"postgres": healthy, "migrate": done}
        assert needs("nginx") == {"api": healthy}

    def test_the_image_runs_what_exists(self) -> None:
        assert [SERVICES[name]["command"] for name in PROGRAM] == [
            ["migrate"],
            ["serve"],
            ["worker"],
        ]


class TestNetworks:
    def test_nginx_reaches_the_api_alone(self) -> None:
        assert neighbours("nginx") == {"api"}

    def test_the_database_is_reached_by_the_program_alone(self) -> None:
        assert neighbours("postgres") == {"redis", *PROGRAM}
        assert neighbours("redis") == {"postgres", *PROGRAM}

    def test_there_is_no_way_out_but_where_it_is_needed(self) -> None:
        inside = {name for name, how in COMPOSE["networks"].items() if how.get("internal")}
        outside = {name for name in SERVICES if networks(name) - inside}
        assert outside == {"nginx", "worker", "mailpit", "grafana"}

    def test_only_nginx_is_seen_from_other_machines(self) -> None:
        public = {
            name
            for name, service in SERVICES.items()
            for port in service.get("ports", ())
            if not port.startswith("127.0.0.1:")
        }
        assert public == {"nginx"}


class TestEnvironment:
    def test_every_setting_reaches_the_program(self) -> None:
        expected = {
            environment_variable(field)
            for field in Settings.model_fields
            if field not in NOT_IN_A_CONTAINER | {"owner_database_url"}
        }
        for name in ("api", "worker"):
            assert set(SERVICES[name]["environment"]) == expected
        assert set(SERVICES["migrate"]["environment"]) == expected | {
            "BUGTRACKER_OWNER_DATABASE_URL"
        }

    def test_secrets_go_to_those_who_need_them(self) -> None:
        for secret, holders in {
            "POSTGRES_PASSWORD": {"postgres"},
            "OWNER_PASSWORD": {"postgres", "migrate"},
            "API_PASSWORD": {"postgres", *PROGRAM},
            "REDIS_PASSWORD": {"redis", *PROGRAM},
            "BUGTRACKER_SECRET_KEY": set(PROGRAM),
            "GRAFANA_PASSWORD": {"grafana"},
        }.items():
            assert secret in entries(EXAMPLE.read_text())
            assert {
                name
                for name, service in SERVICES.items()
                if re.search(rf"\$\{{{secret}\b", str(service))
            } == holders

    def test_what_is_asked_for_is_in_the_example_with_the_same_default(self) -> None:
        asked = dict(re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?", TEXT))
        shown = entries(EXAMPLE.read_text())
        assert set(asked) <= set(shown)
        for name, default in asked.items():
            assert not default or shown[name] == default, name


class TestDatabase:
    def test_its_script_makes_logins_that_can_migrate(self, tmp_path: Path) -> None:
        with embedded_postgres(tmp_path / "postgres", durable=False) as cluster:
            socket = cluster.socket_dir
            admin = f"host={socket} port=5432 user=postgres dbname=postgres"
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("DROP ROLE bugtracker_owner, bugtracker_api")
            programs = find_programs(tmp_path / "postgres/data")
            psql = Path(programs.command("psql")[-1]).parent
            subprocess.run(
                [str(PROJECT_ROOT / "deploy/postgres/10-roles.sh")],
                env={
                    "PATH": f"{psql}:{os.environ['PATH']}",
                    "PGHOST": str(socket),
                    "POSTGRES_USER": "postgres",
                    "OWNER_PASSWORD": "it's a secret",
                    "API_PASSWORD": "another",
                },
                check=True,
            )
            assert migrate(cluster.owner_url(), cluster.api_url())[1] == head_revision()
            with psycopg.connect(admin) as connection:
                found = connection.execute(
                    "SELECT rolname, rolsuper, rolpassword LIKE 'SCRAM%' FROM pg_authid"
                    " WHERE rolname IN ('bugtracker_owner', 'bugtracker_api') ORDER BY 1"
                ).fetchall()
        assert found == [("bugtracker_api", False, True), ("bugtracker_owner", False, True)]
