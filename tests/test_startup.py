"""What the application does not load until it needs it: imports are most of a start."""

import subprocess
import sys

NOT_FOR_SERVING = ("alembic", "bugtracker.cli", "bugtracker.importing", "bugtracker.seeding")
ON_FIRST_USE = ("markdown_it", "nh3", "pyotp", "segno")


def test_the_application_loads_nothing_of_commands_or_of_what_is_seldom_asked_for() -> None:
    code = "import sys, bugtracker.app; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(result.stdout.decode().split())
    assert "bugtracker.app" in loaded
    assert not loaded.intersection((*NOT_FOR_SERVING, *ON_FIRST_USE))
