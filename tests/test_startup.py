"""What the application does not load until it needs it: imports are most of a start."""

import subprocess
import sys

import pytest

SERVE = "from bugtracker.cli import main; main.get_command(None, 'serve')"
NOT_FOR_SERVING = (
    "alembic",
    "bugtracker.importing",
    "bugtracker.jobs.tasks",
    "bugtracker.seeding",
    # In use where REDIS_URL is set.
    "redis",
)
ON_FIRST_USE = ("lark", "markdown_it", "nh3", "pyotp", "segno")
# Of libraries' features that we do not use; only a command goes without them.
OF_OTHERS = ("httpx", "requests", "rich", "starlette.testclient", "uvicorn.supervisors")
USES_THEM = """
import sys, uvicorn
import connexion.apps.abstract, connexion.json_schema, connexion.security, starlette.applications
print(connexion.security.httpx.AsyncClient().is_closed)
print(connexion.json_schema.requests.Session().verify)
print(type(connexion.apps.abstract.TestClient(starlette.applications.Starlette())).__name__)
supervisor = sys.modules["uvicorn.main"].Multiprocess(uvicorn.Config("none"), [])
print(type(supervisor).__name__)
import httpx, requests, rich.console, starlette.testclient
print(issubclass(starlette.testclient.TestClient, httpx.Client))
"""


@pytest.mark.parametrize("start", ["import bugtracker.app", SERVE], ids=["application", "command"])
def test_a_server_loads_nothing_of_other_commands_or_of_what_is_seldom_asked_for(
    start: str,
) -> None:
    loaded = set(_printed(f"import sys; {start}; print(*sys.modules)"))
    assert "bugtracker.app" in loaded
    assert not loaded.intersection((*NOT_FOR_SERVING, *ON_FIRST_USE))


def test_a_command_loads_nothing_for_features_of_libraries_that_it_does_not_use() -> None:
    loaded = set(_printed(f"import sys; {SERVE}; print(*sys.modules)"))
    assert "connexion.security" in loaded
    assert not loaded.intersection(OF_OTHERS)


def test_whoever_needs_those_after_all_gets_them() -> None:
    assert _printed(SERVE + USES_THEM) == ["False", "True", "TestClient", "Multiprocess", "True"]


def _printed(code: str) -> list[str]:
    """The words that a fresh process prints."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return result.stdout.decode().split()
