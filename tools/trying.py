"""A pytest plugin that tries mutants in a process where the server already runs.

The code of a mutant's functions is put into those of the living module, so that a mutant costs the
tests that meet it and no start. ``tools/mutants.py`` starts it, with the job as JSON in MUTANTS_JOB
and a pipe for the answers, one JSON line each. What it says of a mutant is checked: a test counts
as having noticed only when it passes again without the mutant, and survivors, as well as what
cannot be put into a living module, are tried once more in a fresh process.
"""

import ast
import gc
import importlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import pytest

from tools.mutating import Mutant, mutants_of, place_of_functions

JOB = "MUTANTS_JOB"
REACHED = "__reached__"
TRIES = 3
QUICK = 1.0
"""A test of fewer seconds that noticed one mutant is asked first about the next."""

Swap = dict[CodeType, CodeType]


class NotSwappable(Exception):
    """The mutant is not (only) in the body of a function that lives."""


def compiled(path: str, source: str | ast.Module) -> list[CodeType]:
    """All code of a source, outermost first."""

    def within(code: CodeType) -> Iterator[CodeType]:
        yield code
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from within(constant)

    return list(within(compile(source, path, "exec", dont_inherit=True)))


def swap_between(path: str, source: str, other: str | ast.Module) -> Swap:
    """Which code takes the place of which."""
    before, after = compiled(path, source), compiled(path, other)
    if [code.co_qualname for code in before] != [code.co_qualname for code in after]:
        raise NotSwappable
    return {old: new for old, new in zip(before, after, strict=True) if old != new}


@contextmanager
def swapped(path: str, swap: Swap) -> Iterator[None]:
    """Functions of the file, wherever they live, with other code."""
    changed: list[tuple[FunctionType, CodeType]] = []
    try:
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename.endswith(path):
                old = thing.__code__
                if old in swap:
                    thing.__code__ = swap[old]
                    changed.append((thing, old))
        yield
    except ValueError as error:
        if "free vars" in str(error):
            raise NotSwappable from error
        raise
    finally:
        for function, code in changed:
            function.__code__ = code


def watching(source: str) -> ast.Module:
    """The source, with each function saying that it was reached."""
    tree = ast.parse(source)
    for name, function in place_of_functions(tree):
        note = ast.parse(f"{REACHED}.add({name!r})").body
        at = 1 if ast.get_docstring(function) is not None and len(function.body) > 1 else 0
        function.body[at:at] = note
    return ast.fix_missing_locations(tree)


class Trial:
    """The mutants of one module against the collected tests."""

    def __init__(self, session: pytest.Session) -> None:
        job = json.loads(os.environ[JOB])
        self._path: str = job["path"]
        self._wanted: list[int] = job["wanted"]
        self._answers = job["answers"]
        self._file = Path(self._path)
        self._source = self._file.read_text()
        self._module = importlib.import_module(self._path.removesuffix(".py").replace("/", "."))
        self._session = session
        self._failed = False
        self._reached: dict[str, set[str]] = {}
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def run(self) -> None:
        items = self._session.items
        if (broken := self._watch(items)) is not None:
            self._say(broken=broken)
            return
        mutants = mutants_of(self._path, self._source)
        for index in self._wanted:
            self._say(begun=index)
            if not self._try(index, mutants[index], items):
                return

    def _watch(self, items: list[pytest.Item]) -> str | None:
        """Which functions each test reaches. The name of a test that fails without any mutant."""
        seen: set[str] = set()
        setattr(self._module, REACHED, seen)
        with swapped(self._path, swap_between(self._path, self._source, watching(self._source))):
            for item, following in zip(items, [*items[1:], None], strict=True):
                seen.clear()
                begun = time.monotonic()
                if not self._passes(item, following):
                    return item.nodeid
                self._reached[item.nodeid] = set(seen)
                self._seconds[item.nodeid] = time.monotonic() - begun
        return None

    def _try(self, index: int, mutant: Mutant, items: list[pytest.Item]) -> bool:
        """False when this process is no longer fit for another."""
        names = [name for name, reached in self._reached.items() if mutant.place in reached]
        for _ in range(TRIES):
            meeting = [item for item in items if item.nodeid in names]
            try:
                noticed = self._first_failing(mutant, meeting)
            except NotSwappable:
                self._say(index=index, outcome="elsewhere", tests=names)
                return True
            if noticed is None:
                outcome = "survived" if len(meeting) == len(names) else "unsure"
                self._say(index=index, outcome=outcome, tests=names)
                return True
            items.remove(noticed)
            # Anew, and with nothing that was set up under the mutant.
            if self._passes(noticed, None):
                self._say(index=index, outcome="killed", by=noticed.nodeid)
                at = 0 if self._seconds[noticed.nodeid] < QUICK else len(items)
                items.insert(at, noticed)
                return True
            # Most likely one that cannot be run twice in one database: go on without it.
        self._say(index=index, outcome="unsure", tests=names)
        return False

    def _first_failing(self, mutant: Mutant, items: list[pytest.Item]) -> pytest.Item | None:
        swap = swap_between(self._path, self._source, mutant.source)
        # For the tests that start a process.
        self._file.write_text(mutant.source)
        try:
            with swapped(self._path, swap):
                for item, following in zip(items, [*items[1:], None], strict=True):
                    if not self._passes(item, following):
                        return item
        finally:
            self._file.write_text(self._source)
        return None

    def _passes(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        self._failed = False
        whole = SimpleNamespace(listchain=lambda: [self._session])
        self._session._setupstate.teardown_exact(item)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following or whole)
        return not self._failed

    def _say(self, **answer: Any) -> None:
        os.write(self._answers, json.dumps(answer).encode() + b"\n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Instead of running the tests once."""
    trial = Trial(session)
    session.config.pluginmanager.register(trial)
    trial.run()
    session._setupstate.teardown_exact(None)
    return True
