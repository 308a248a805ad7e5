"""bugtracker create-user"""

from typing import get_args
from uuid import uuid4

import httpx
import pytest

from bugtracker.models.organisation import Role
from tests.cli.conftest import Run
from tests.serving import Server

PASSWORD = "Tide-Table-1843"


def options(name: str, org: str, role: str = "developer") -> list[str]:
    return [
        "create-user",
        f"--email={name}@example.com",
        f"--username={name}",
        f"--org={org}",
        f"--role={role}",
        "--password-stdin",
    ]


@pytest.fixture
def name() -> str:
    return f"u{uuid4().hex[:10]}"


def logged_in(server: Server, name: str) -> dict[str, object]:
    """What the server tells the person about themselves."""
    with httpx.Client(base_url=server.url) as client:
        answer = client.post("/api/auth/login", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        me = client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        body: dict[str, object] = me.json()
        return body


class TestCreateUser:
    @pytest.mark.parametrize("role", get_args(Role))
    def test_makes_a_verified_user_of_every_role_who_can_log_in(
        self, run: Run, server: Server, name: str, role: str
    ) -> None:
        result = run(*options(name, f"org-{name}", role), input=f"{PASSWORD}\n")
        assert result.exit_code == 0, result.output
        me = logged_in(server, name)
        assert me["role"] == role
        assert me["verified"] is True
        assert me["id"] == result.stdout.strip()

    def test_two_users_of_one_new_organisation_are_in_it_together(
        self, run: Run, server: Server, name: str
    ) -> None:
        for each in (name, name + "2"):
            assert run(*options(each, f"org-{name}"), input=PASSWORD).exit_code == 0
        assert logged_in(server, name)["org_id"] == logged_in(server, name + "2")["org_id"]

    def test_again_with_another_role_changes_the_role_and_nothing_else(
        self, run: Run, server: Server, name: str
    ) -> None:
        first = run(*options(name, f"org-{name}", "member"), input=PASSWORD)
        again = run(*options(name, f"org-{name}", "manager"), input="Another-Secret-99")
        assert again.exit_code == 0
        assert first.stdout == again.stdout
        assert logged_in(server, name)["role"] == "manager"

    def test_a_username_of_somebody_else_is_refused(self, run: Run, name: str) -> None:
        run(*options(name, f"org-{name}"), input=PASSWORD)
        arguments = options(name, f"org-{name}")
        arguments[1] = "--email=other@example.com"
        result = run(*arguments, input=PASSWORD)
        assert result.exit_code == 1
        assert "username" in result.stderr

    @pytest.mark.parametrize(
        ("index", "argument", "word"),
        [
            (1, "--email=nonsense", "e-mail"),
            (2, "--username=with space", "username"),
            (3, "--org=Not A Slug", "slug"),
            (4, "--role=emperor", "emperor"),
        ],
    )
    def test_a_bad_argument_is_named(
        self, run: Run, name: str, index: int, argument: str, word: str
    ) -> None:
        arguments = options(name, f"org-{name}")
        arguments[index] = argument
        result = run(*arguments, input=PASSWORD)
        assert result.exit_code == 2
        assert word in result.stderr

    def test_a_weak_password_is_refused_and_makes_nobody(self, run: Run, name: str) -> None:
        result = run(*options(name, f"org-{name}"), input="password")
        assert result.exit_code == 1
        assert "password" in result.stderr

    def test_without_a_terminal_it_asks_for_password_stdin(self, run: Run, name: str) -> None:
        result = run(*options(name, f"org-{name}")[:-1])
        assert result.exit_code == 2
        assert "--password-stdin" in result.stderr
