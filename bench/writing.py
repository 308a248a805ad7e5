"""What a run leaves behind: a report, all samples for programs, a plot."""

import argparse
import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.goals import GOALS, Goal, goals_table
from bench.place import ROOT
from bench.plot import plot
from bench.report import table
from bench.results import Results, Spread

DOCS = ROOT / "docs" / "performance"
LAST = ROOT / ".local" / "bench" / "last"


def text_of(results: Results, arguments: argparse.Namespace, *, whole: bool) -> str:
    """The report, in Markdown."""
    samples = [each for each in results.samples if not each.server.startswith("pgbench")]
    return TEMPLATE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        size=arguments.size,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        machine=machine(),
        others=median(each.others for each in samples),
        goals=goals_table(results, whole=whole),
        tables="\n\n".join(
            f"## {count} process{'' if count == 1 else 'es'} of each server\n\n"
            f"{table(results, count)}"
            for count in arguments.processes
        ),
    )


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def write(results: Results, text: str, arguments: argparse.Namespace, *, whole: bool) -> None:
    """Into docs/performance, or beside the prepared databases."""
    directory = DOCS if whole else LAST
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "bench.md").write_text(text)
    (directory / "bench.json").write_text(_json(results, arguments))
    (directory / "bench.svg").write_text(plot(results, arguments.processes[0]))
    print(f"bench: wrote {_shown(directory)}/bench.md, bench.json, bench.svg")


def _shown(directory: Path) -> str:
    return str(directory.relative_to(ROOT))


def _json(results: Results, arguments: argparse.Namespace) -> str:
    document = {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine(),
        "size": arguments.size,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "goals": [_goal(goal, goal.measure(results)) for goal in GOALS],
        "samples": [
            {name: round(value, 4) if isinstance(value, float) else value
             for name, value in asdict(sample).items()}
            for sample in results.samples
        ],
    }  # fmt: skip
    return json.dumps(document, indent=1) + "\n"


def _goal(goal: Goal, value: Spread | None) -> dict[str, object]:
    return {
        "goal": goal.name,
        "must": goal.must,
        "aim": goal.aim,
        "measured": None if value is None else asdict(value),
        "verdict": goal.verdict(value),
    }


TEMPLATE = """\
# How fast, compared with what

Written by `make bench` on {date}: {size:,} issues, {rounds} rounds of {seconds:g} s for each server
and workload, 16 connections, server, load generator (wrk) and database on one machine ({machine}).
[How to read it](README.md). Other programs used {others:.0%} of the machine meanwhile (median);
where that is more than a few percent, believe the ratios of CPU time rather than those of requests.

Each number is the median of the rounds, with the least and the most. Ratios are taken within a
round.

## Goals

{goals}

{tables}

![Requests a second as multiples of the FastAPI reference](bench.svg)
"""
