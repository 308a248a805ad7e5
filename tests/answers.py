"""Every answer that the contract documents is given in some test.

A plugin: a run of all tests fails when one was not.

Answers are noted by :class:`tests.conformance.Conformance` in each process of the run.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bugtracker.contract import load_contract
from bugtracker.problems import PROBLEM_MEDIA_TYPE
from tests.conformance import ANSWERED, Answered

OUTPUT = "answered"


class AnswersPlugin:
    """Gathers the answers of all processes, and asks for those ``wanted``."""

    def __init__(self, wanted: Callable[[], set[Answered]]) -> None:
        self._wanted = wanted
        self._answered: set[Answered] = set()
        self._is_known = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a process of xdist has seen; nobody knows it of one that died."""
        output = getattr(node, "workeroutput", {})
        self._answered |= {tuple(each) for each in output.get(OUTPUT, ())}
        self._is_known &= OUTPUT in output

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hands over in a process of xdist; judges in the one above, or the only one."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[OUTPUT] = sorted(ANSWERED)
        elif self._is_known and _is_whole(session):
            missing = sorted(self._wanted() - self._answered - ANSWERED)
            if missing:
                _tell(session, missing)
                session.exitstatus = pytest.ExitCode.TESTS_FAILED


def documented() -> set[Answered]:
    """Operation, status, and for problems the code, of all documented answers."""
    contract = load_contract()
    return {
        (operation.id, status, code)
        for operation in contract.operations.values()
        for status, node in operation.raw["responses"].items()
        for code in _codes(contract.resolve(node))
    }


def _codes(response: Any) -> Iterator[str]:
    examples = response.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples")
    yield from examples or ("",)


NARROWING = (
    "keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "collectonly",
)  # fmt: skip


def _is_whole(session: pytest.Session) -> bool:
    """Whether all tests were asked for, and have run."""
    option = session.config.option
    source = session.config.args_source
    is_narrowed = any(getattr(option, name, None) for name in NARROWING)
    is_cut_short = session.shouldstop or session.shouldfail or session.exitstatus not in (0, 1)
    return source is source.TESTPATHS and not (is_narrowed or is_cut_short)


def _tell(session: pytest.Session, missing: list[Answered]) -> None:
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    reporter.write_line("")
    reporter.write_line(f"{len(missing)} documented answers are given in no test:")
    for operation, status, code in missing:
        reporter.write_line(f"  {operation} {status} {code}")
