"""The command, run in this process against this process's database."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from bugtracker.cli import main
from bugtracker.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """What an operator would set for a real database."""
    assert settings.database_url
    assert settings.owner_database_url
    assert settings.secret_key
    return {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BUGTRACKER_OWNER_DATABASE_URL": settings.owner_database_url.get_secret_value(),
        "BUGTRACKER_SECRET_KEY": settings.secret_key.get_secret_value(),
        "BUGTRACKER_BCRYPT_COST": "4",
        "BUGTRACKER_LOG_LEVEL": "ERROR",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """``run("check", input=…, env={…})``: the result of one command."""

    def run_command(*arguments: str, env: dict[str, str] | None = None, **options: str) -> Result:
        return CliRunner(env={**environment, **(env or {})}).invoke(main, arguments, **options)

    return run_command
