"""What the proofs counted, as a table at the end of the run."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

Report = Callable[..., None]

PROPERTY = "proof"


def name_of(test: pytest.Function) -> str:
    """What the table calls a test, whatever its round: ``sessions: refresh: one successor``."""
    group = test.cls.__name__.removeprefix("Test") if test.cls else ""
    parts = [test.module.__name__.rpartition("test_")[2]]
    parts += [re.sub(r"([A-Z])", r" \1", group).strip().lower()] if group else []
    parts += [test.originalname.removeprefix("test_").replace("_", " ")]
    case = [part for part in _case(test).split("-") if not part.startswith("round")]
    return ": ".join(parts) + (f" ({', '.join(case)})" if any(case) else "")


def _case(test: pytest.Function) -> str:
    return test.callspec.id if hasattr(test, "callspec") else ""


def table(terminal: TerminalReporter) -> None:
    """Prints each proof with its invariant and its counts, over all rounds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in _entries(terminal):
        found.setdefault(entry["proof"], []).append(entry)
    if not found:
        return
    terminal.section("proofs")
    for proof, entries in sorted(found.items()):
        rounds = f" ({len(entries)} rounds)" if len(entries) > 1 else ""
        terminal.write_line(f"{proof}{rounds}", bold=True)
        terminal.write_line(f"    {entries[0]['invariant']}")
        terminal.write_line(f"    {counted([entry['counts'] for entry in entries])}")


def _entries(terminal: TerminalReporter) -> Iterable[dict[str, Any]]:
    for reports in terminal.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                yield from (value for name, value in report.user_properties if name == PROPERTY)


def counted(rounds: list[dict[str, Any]]) -> str:
    """``name value`` of each count; where rounds differ, the least and the greatest."""
    names = list(dict.fromkeys(name for counts in rounds for name in counts))
    return ", ".join(f"{name.replace('_', ' ')} {_span(rounds, name)}" for name in names)


def _span(rounds: list[dict[str, Any]], name: str) -> str:
    values = [counts[name] for counts in rounds if name in counts]
    least, greatest = min(values), max(values)
    return str(least) if least == greatest else f"{least} to {greatest}"
