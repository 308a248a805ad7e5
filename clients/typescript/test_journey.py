"""The TypeScript client, type-checked, against a real server: ``make clients-test``.

Not among the tests of ``make test``, because it needs node and packages from npm.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.timing import within
from tests.world import World

HERE = Path(__file__).parent


def run(*command: str, **environment: str) -> str:
    """What a command prints; it must succeed."""
    program = shutil.which(command[0])
    assert program, f"{command[0]} is not installed"
    ended = subprocess.run(
        [program, *command[1:]],
        cwd=HERE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=within(60),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_goes_from_registering_to_a_closed_critical_issue(living_world: World) -> None:
    run("npm", "run", "--silent", "check")
    mails = living_world.runtime.settings.mail_dir
    # The first mail makes it, later than it is looked for.
    mails.mkdir(exist_ok=True)
    said = run("node", "dist-test/test/journey.js", SERVER=living_world.url, MAILS=str(mails))
    assert said == "registered, closed, paged, refused, received\n"
