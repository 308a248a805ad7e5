"""Takes each check out of the security code, one at a time, and sees whether a test notices.

``make mutants`` runs all, ``ARGS="keys tokens"`` the modules of those names. There ``--minutes 30``
stops in time, and ``--quick`` believes at once that a mutant lives, also where only a cache hid it.

What was killed is remembered in ``.mutants.jsonl`` until its module changes, so an interrupted run
goes on where it was. Exit code 0: every mutant was killed or is explained in
docs/security/mutants.md; 1: some were not; 2: there was no time for all.
"""

import argparse
import hashlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bugtracker.embedded import embedded_postgres
from tools.mutant_tests import SECURITY, TESTS
from tools.mutating import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
REMEMBERED = ROOT / ".mutants.jsonl"
EXPLAINED = ROOT / "docs" / "security" / "mutants.md"
SECONDS_OF_SILENCE = 300
"""A process that says nothing for so long hangs."""
SECONDS_IN_ALL = 900
"""A mutant that makes a fresh process take so long is noticed."""
LEFT_OUT = (".git", ".venv", ".tools", ".local", ".mypy_cache", ".ruff_cache", "__pycache__")


class Verdict(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    noticed_by: str | None


@dataclass(frozen=True)
class Bench:
    """A copy of the project where mutants are tried, with one database server for all runs."""

    tree: Path
    shared: Path
    is_quick: bool
    """Whether survivors are believed without a fresh process."""

    def verdicts(self, path: str, mutants: list[Mutant], wanted: list[int]) -> Iterator[Verdict]:
        """Of each wanted mutant whether a test notices. SystemExit when one fails without any."""
        again: list[tuple[int, list[str]]] = []
        left = list(wanted)
        while left:
            before = len(left)
            for answer in self._answers(path, left):
                if test := answer.get("broken"):
                    raise SystemExit(f"without any mutant fails {test}")
                left.remove(answer["index"])
                if answer["outcome"] == "killed":
                    yield Verdict(mutants[answer["index"]], answer["by"])
                elif answer["outcome"] == "survived" and self.is_quick:
                    yield Verdict(mutants[answer["index"]], None)
                else:
                    again.append((answer["index"], answer["tests"]))
            if len(left) == before:
                raise SystemExit(f"the tests of {path} cannot be run")
        for index, tests in again:
            noticed = self._notices(path, mutants[index].source, tests)
            yield Verdict(mutants[index], "a fresh process" if noticed else None)

    def _answers(self, path: str, wanted: list[int]) -> Iterator[dict[str, Any]]:
        """What one process says, until it ends; of the mutant that was its end, that it was."""
        reading, writing = os.pipe()
        job = json.dumps({"path": path, "wanted": wanted, "answers": writing})
        # What a failed test leaves open must not fail the next one, by a warning.
        calm = ("-p", "no:unraisableexception", "-p", "no:threadexception", "--tb=no")
        command = self._command("-p", "tools.trying", *calm, *self._tests(path))
        process = subprocess.Popen(  # noqa: S603 - our own tests
            command,
            cwd=self.tree,
            env={**self._surroundings(), "MUTANTS_JOB": job},
            pass_fds=[writing],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(writing)
        begun: int | None = None
        try:
            with open(reading, "rb", buffering=0) as pipe:
                for answer in _lines(pipe):
                    begun = answer.get("begun")
                    if begun is None:
                        yield answer
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if begun is not None:
            yield {"index": begun, "outcome": "ended", "tests": []}

    def _notices(self, path: str, source: str, tests: list[str]) -> bool:
        """Whether one of the tests, or of all of the module's, fails in a process of its own with
        this source in the place of the module's."""
        file = self.tree / path
        original = file.read_text()
        file.write_text(source)
        try:
            run = subprocess.run(  # noqa: S603 - our own tests
                self._command("-x", *(tests or self._tests(path))),
                cwd=self.tree,
                env=self._surroundings(),
                capture_output=True,
                timeout=SECONDS_IN_ALL,
            )
        except subprocess.TimeoutExpired:
            return True
        finally:
            file.write_text(original)
        return run.returncode != 0

    @staticmethod
    def _tests(path: str) -> list[str]:
        return [f"tests/{name}" for name in TESTS[path]]

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "--timeout", "60", *arguments]

    def _surroundings(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(self.tree),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_SHARED_DIR": str(self.shared),
        }


def _lines(pipe: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The answers in a pipe, until it is closed or silent for too long."""
    text = b""
    while select.select([pipe], [], [], SECONDS_OF_SILENCE)[0]:
        piece = pipe.read(65536)
        if not piece:
            return
        *whole, text = (text + piece).split(b"\n")
        yield from map(json.loads, whole)


@contextmanager
def bench(is_quick: bool) -> Iterator[Bench]:
    """The copy, until the block is left."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        tree, shared = Path(name) / "tree", Path(name) / "shared"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        shared.mkdir()
        with embedded_postgres(shared / "postgres", durable=False):
            yield Bench(tree, shared, is_quick)


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
    """The modules of these names, all for none. SystemExit where one has no row."""
    modules = {f"{SECURITY}{file.name}" for file in (ROOT / SECURITY).glob("[!_]*.py")}
    if missing := sorted(modules - set(TESTS)):
        raise SystemExit(f"name the tests of {', '.join(missing)} in tools/mutants.py")
    paths = {Path(path).stem: path for path in TESTS}
    return [paths[name] for name in names or paths]


def say(text: str) -> None:
    print(text, flush=True)


def try_all(paths: list[str], ends: float, is_quick: bool) -> tuple[list[Mutant], bool]:
    """The survivors, and whether there was time for all."""
    memory, survivors = Memory(REMEMBERED), []
    with bench(is_quick) as place:
        for path in paths:
            mutants = mutants_of(path, (ROOT / path).read_text())
            wanted = [n for n, mutant in enumerate(mutants) if not memory.knows(mutant)]
            say(f"{path}: {len(mutants)} mutants, {len(mutants) - len(wanted)} killed before")
            for mutant, noticed_by in place.verdicts(path, mutants, wanted):
                say(f"  {noticed_by or 'SURVIVED'}: line {mutant.line}: {mutant.key}")
                if noticed_by:
                    memory.add(mutant)
                else:
                    survivors.append(mutant)
                if time.monotonic() > ends:
                    return survivors, False
    return survivors, True


def table(paths: list[str]) -> Iterator[str]:
    """For docs/security/mutants.md: how many mutants of each module were killed and explained."""
    memory, known = Memory(REMEMBERED), explained()
    for path in paths:
        mutants = mutants_of(path, (ROOT / path).read_text())
        killed = sum(memory.knows(mutant) for mutant in mutants)
        yield f"| {path} | {len(mutants)} | {killed} | {sum(m.key in known for m in mutants)} |"


def main() -> int:
    """Tries all; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", help="such as tokens; default all")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--quick", action="store_true", help="try no survivor once more afresh")
    arguments = parser.parse_args()
    # So that the copy and the database server go away however the run ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ends = time.monotonic() + arguments.minutes * 60
    paths = chosen(arguments.modules)
    survivors, complete = try_all(paths, ends, arguments.quick)
    say(
        "\n".join(["| module | mutants | killed | explained |", "|---|---|---|---|", *table(paths)])
    )
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
