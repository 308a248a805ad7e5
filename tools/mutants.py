"""Takes each check out of the security code, one at a time, and sees whether a test notices.

``make mutants`` runs all, ``ARGS="keys tokens"`` the modules of those names; ``--minutes 30`` there
stops in time. What was killed is remembered in ``.mutants.jsonl`` until its module changes, so an
interrupted run goes on where it was. Exit code 0: every mutant was killed or is explained in
docs/security/mutants.md; 1: some were not; 2: there was no time for all.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bugtracker.embedded import embedded_postgres
from tools.mutating import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
REMEMBERED = ROOT / ".mutants.jsonl"
EXPLAINED = ROOT / "docs" / "security" / "mutants.md"
SECONDS_EACH = 300
"""A mutant that makes the tests hang this long is noticed."""
LEFT_OUT = (".git", ".venv", ".tools", ".local", ".mypy_cache", ".ruff_cache", "__pycache__")

SECURITY, SERVICES = "bugtracker/security/", "bugtracker/services/"
LOGIN = ("handlers/test_auth_login.py", "handlers/test_auth_sessions.py")
FACTOR = ("handlers/test_two_factor_login.py", "handlers/test_two_factor.py")
TESTS: dict[str, tuple[str, ...]] = {
    f"{SECURITY}tokens.py": ("security/test_tokens.py",),
    f"{SECURITY}secrets.py": ("test_secrets.py", "security/test_passwords.py"),
    f"{SECURITY}passwords.py": ("security/test_passwords.py", "handlers/test_auth_login.py"),
    f"{SECURITY}common_passwords.py": (
        "security/test_common_passwords.py",
        "security/test_passwords.py",
    ),
    f"{SECURITY}keys.py": ("security/test_tokens.py", "cli/test_keys.py", "proofs/test_keys.py"),
    f"{SECURITY}authentication.py": (
        "handlers/test_auth_sessions.py",
        "security/test_tokens.py",
        "handlers/test_projects.py",
    ),
    f"{SECURITY}permissions.py": (
        "handlers/test_archiving.py",
        "handlers/test_assigning.py",
        "handlers/test_comments.py",
        "security/test_permission_matrix.py",
    ),
    f"{SECURITY}principal.py": (),
    f"{SECURITY}totp.py": ("security/test_totp.py", "handlers/test_two_factor_login.py"),
    f"{SECURITY}envelope.py": ("security/test_envelope.py", "test_secrets.py"),
    f"{SECURITY}one_time_tokens.py": (
        "handlers/test_magic_link.py",
        "handlers/test_two_factor_login.py",
        "handlers/test_passwords.py",
        "handlers/test_auth_registration.py",
        "handlers/test_auth_resend.py",
    ),
    f"{SECURITY}api_keys.py": ("security/test_api_keys.py", "handlers/test_api_keys.py"),
    f"{SECURITY}partners.py": (
        "security/test_partner_signatures.py",
        "proofs/test_provisioning.py",
    ),
    f"{SECURITY}partner_signatures.py": ("security/test_partner_signatures.py",),
    f"{SECURITY}scoping.py": (
        "handlers/test_comments.py",
        "handlers/test_issues.py",
        "handlers/test_archiving.py",
        "test_tenancy.py",
        "test_locking.py",
        "test_concurrency.py",
        "security/test_permission_matrix.py",
    ),
    f"{SERVICES}attempts.py": (
        "security/test_lockout.py",
        "security/test_enumeration.py",
        "handlers/test_auth_activity.py",
        "proofs/test_lockout.py",
    ),
    f"{SERVICES}credentials.py": (*LOGIN, "handlers/test_passwords.py", "proofs/test_passwords.py"),
    f"{SERVICES}logins.py": (
        *LOGIN,
        "handlers/test_magic_link.py",
        "handlers/test_two_factor_login.py",
        "proofs/test_second_factor.py",
        "proofs/test_passwords.py",
    ),
    f"{SERVICES}second_factor.py": (*FACTOR, "proofs/test_second_factor.py"),
    f"{SERVICES}two_factor.py": (*FACTOR, "proofs/test_second_factor.py"),
    f"{SERVICES}reauthentication.py": (
        "handlers/test_passwords.py",
        *FACTOR,
        "proofs/test_second_factor.py",
        "proofs/test_passwords.py",
    ),
    f"{SERVICES}members.py": ("handlers/test_members.py", "security/test_member_races.py"),
    f"{SERVICES}sessions.py": (*LOGIN, "handlers/test_sessions.py", "proofs/test_sessions.py"),
    f"{SERVICES}revocation.py": (
        "handlers/test_sessions.py",
        "handlers/test_auth_sessions.py",
        "handlers/test_passwords.py",
        "proofs/test_sessions.py",
    ),
}
"""The tests that have to notice, the quickest to do so first. A module of bugtracker/security
without a row stops the run."""


@dataclass(frozen=True)
class Bench:
    """A copy of the project where mutants are tried, with one database server for all runs."""

    tree: Path
    shared: Path

    def notices(self, path: str, source: str) -> bool:
        """Whether a test fails with this source in the place of the module's."""
        file = self.tree / path
        original = file.read_text()
        file.write_text(source)
        try:
            return not self.passes(path)
        finally:
            file.write_text(original)

    def passes(self, path: str) -> bool:
        """Whether the module's tests all pass."""
        tests = [f"tests/{name}" for name in TESTS[path]]
        command = [sys.executable, "-m", "pytest", "-x", "--timeout", "60", *tests]
        surroundings = {**os.environ, "PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1"}
        surroundings["TEST_SHARED_DIR"] = str(self.shared)
        try:
            run = subprocess.run(  # noqa: S603 - our own tests
                command, cwd=self.tree, env=surroundings, capture_output=True, timeout=SECONDS_EACH
            )
        except subprocess.TimeoutExpired:
            return False
        return run.returncode == 0


@contextmanager
def bench() -> Iterator[Bench]:
    """The copy, until the block is left."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        tree, shared = Path(name) / "tree", Path(name) / "shared"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        shared.mkdir()
        with embedded_postgres(shared / "postgres", durable=False):
            yield Bench(tree, shared)


class Memory:
    """Which mutants were killed before, of modules that have not changed since."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text().splitlines() if file.exists() else []
        self._killed = {tuple(json.loads(line)) for line in lines}

    def knows(self, mutant: Mutant) -> bool:
        return self._entry(mutant) in self._killed

    def add(self, mutant: Mutant) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(self._entry(mutant)) + "\n")

    @staticmethod
    def _entry(mutant: Mutant) -> tuple[str, str]:
        return mutant.key, hashlib.sha256((ROOT / mutant.path).read_bytes()).hexdigest()[:16]


def explained() -> set[str]:
    """The mutants that are listed with a reason to live."""
    text = EXPLAINED.read_text() if EXPLAINED.exists() else ""
    return set(re.findall(r"^- `(.+)`$", text, flags=re.MULTILINE))


def chosen(names: list[str]) -> list[str]:
    """The modules of these names, all for none. SystemExit for a module without a row."""
    modules = {f"{SECURITY}{file.name}" for file in (ROOT / SECURITY).glob("[!_]*.py")}
    if missing := sorted(modules - set(TESTS)):
        raise SystemExit(f"name the tests of {', '.join(missing)} in tools/mutants.py")
    return [path for path in TESTS if not names or Path(path).stem in names]


def say(text: str) -> None:
    print(text, flush=True)


def try_all(paths: list[str], ends: float) -> tuple[list[Mutant], bool]:
    """The survivors, and whether there was time for all."""
    memory, survivors = Memory(REMEMBERED), []
    with bench() as place:
        for path in paths:
            mutants = mutants_of(path, (ROOT / path).read_text())
            left = [mutant for mutant in mutants if not memory.knows(mutant)]
            say(f"{path}: {len(mutants)} mutants, {len(mutants) - len(left)} killed before")
            if left and not place.passes(path):
                raise SystemExit(f"the tests of {path} fail without any mutant")
            for number, mutant in enumerate(left, start=1):
                if time.monotonic() > ends:
                    return survivors, False
                noticed = place.notices(path, mutant.source)
                outcome = "killed" if noticed else "SURVIVED"
                say(f"  {number}/{len(left)} {outcome} line {mutant.line}: {mutant.key}")
                if noticed:
                    memory.add(mutant)
                else:
                    survivors.append(mutant)
    return survivors, True


def main() -> int:
    """Tries all; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", help="such as tokens; default all")
    parser.add_argument("--minutes", type=float, default=600)
    arguments = parser.parse_args()
    # So that the copy and the database server go away however the run ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ends = time.monotonic() + arguments.minutes * 60
    survivors, complete = try_all(chosen(arguments.modules), ends)
    known = explained()
    unexplained = [mutant for mutant in survivors if mutant.key not in known]
    say(f"{len(survivors)} survived, {len(unexplained)} of them unexplained")
    for mutant in unexplained:
        say(f"- `{mutant.key}`  ({mutant.path}:{mutant.line})")
    if unexplained:
        return 1
    return 0 if complete else 2


if __name__ == "__main__":
    sys.exit(main())
