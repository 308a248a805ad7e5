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
ON_FIRST_USE = ("markdown_it", "nh3", "pyotp", "segno")


@pytest.mark.parametrize("start", ["import bugtracker.app", SERVE], ids=["application", "command"])
def test_a_server_loads_nothing_of_other_commands_or_of_what_is_seldom_asked_for(
    start: str,
) -> None:
    code = f"import sys; {start}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(result.stdout.decode().split())
    assert "bugtracker.app" in loaded
    assert not loaded.intersection((*NOT_FOR_SERVING, *ON_FIRST_USE))
