"""Every answer that the contract documents is given in some test.

A plugin: at the end of a run of all tests it fails for those that were not.

Answers are noted by :class:`tests.conformance.Conformance` in each process of the run.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from bugtracker.contract import load_contract
from bugtracker.problems import PROBLEM_MEDIA_TYPE
from tests.conformance import ANSWERED, Answered

OUTPUT = "answered"


class AnswersPlugin:
    """Gathers the answers of all processes."""

    def __init__(self) -> None:
        self._answered: set[Answered] = set()

    def pytest_testnodedown(self, node: Any) -> None:
        """What a process of xdist has seen."""
        self._answered |= {
            tuple(each) for each in getattr(node, "workeroutput", {}).get(OUTPUT, ())
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hands over in a process of xdist; judges in the one above, or the only one."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[OUTPUT] = sorted(ANSWERED)
        elif _is_whole(session):
            missing = sorted(documented() - self._answered - ANSWERED)
            if missing:
                _tell(session, missing)


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


def _is_whole(session: pytest.Session) -> bool:
    """Whether all tests were asked for."""
    option = session.config.option
    source = session.config.args_source
    return not (option.keyword or option.markexpr) and source is source.TESTPATHS


def _tell(session: pytest.Session, missing: list[Answered]) -> None:
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    reporter.write_line("")
    reporter.write_line(f"{len(missing)} documented answers are given in no test:")
    for operation, status, code in missing:
        reporter.write_line(f"  {operation} {status} {code}")
