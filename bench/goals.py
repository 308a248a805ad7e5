"""The goals of ours, as the requirements set them, and whether they are met."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.measuring import Sample
from bench.place import ROOT
from bench.questions import QUESTIONS
from bench.report import aligned, rate
from bench.results import Results, Spread, spread

GROWTH = ROOT / "docs" / "performance" / "growth.json"
NOT_MEASURED = "not measured"
Measure = Callable[[Results], Spread | None]


@dataclass(frozen=True)
class Goal:
    """A number that should be at least, or at most, so big."""

    name: str
    must: float
    aim: float
    measure: Measure

    @property
    def upwards(self) -> bool:
        """Whether more is better."""
        return self.aim > self.must

    def meets(self, value: float, bound: float) -> bool:
        """Whether a value is on the right side of a bound."""
        return value >= bound if self.upwards else value <= bound

    def verdict(self, value: Spread | None) -> str:
        """By the median."""
        if value is None:
            return NOT_MEASURED
        if self.meets(value.middle, self.aim):
            return "aim met"
        return "must met" if self.meets(value.middle, self.must) else "MISSED"


def p99(sample: Sample) -> float:
    """Milliseconds."""
    return sample.p99


def cpu(sample: Sample) -> float:
    """Milliseconds a request."""
    return sample.cpu


def _against(
    other: str, workload: str, value: Callable[[Sample], float] = rate, processes: int = 2
) -> Measure:
    return lambda results: results.ratio(("ours", other), workload, processes, value)


def _deep(results: Results) -> Spread | None:
    """The time of a deep page as a multiple of the first one's, in the same round."""
    first, deep = (results.of("ours", name, 2) for name in ("first", "deep"))
    return spread(deep[each].p50 / first[each].p50 for each in deep.keys() & first.keys())


def _memory(results: Results) -> Spread | None:
    ours = [each for each in results.samples if (each.server, each.processes) == ("ours", 2)]
    return spread(each.memory_mb for each in ours)


def _growth(kind: str, name: str | None = None) -> Measure:
    """The time of questions of a kind, or of one, at 200,000 issues as a multiple of itself at
    20,000, as `make bench-growth` found it."""

    def measure(results: Results) -> Spread | None:
        del results
        if not GROWTH.exists():
            return None
        ratios = [each for each in json.loads(GROWTH.read_text())["ratios"] if each["kind"] == kind]
        return spread(each["ratio"] for each in ratios if name in (None, each["name"]))

    return measure


SEARCHES = tuple(each.name for each in QUESTIONS if each.kind == "search")
GOALS = (
    Goal("list, requests/s as a multiple of c", 1.1, 1.6, _against("c", "list")),
    Goal("get, requests/s as a multiple of c", 1.3, 2, _against("c", "get")),
    Goal("list, requests/s as a multiple of a", 2, 3, _against("a", "list")),
    Goal("get, requests/s as a multiple of a", 2.5, 4, _against("a", "get")),
    Goal("list, requests/s as a multiple of d", 0.4, 0.6, _against("d", "list")),
    Goal("get, requests/s as a multiple of d", 0.4, 0.6, _against("d", "get")),
    *(
        Goal(f"{name}, as a multiple of c, one process", 1.2, 2, _against("c", name, processes=1))
        for name in ("search-rare", "search-common", "search-missing", "create", "patch")
    ),
    # The list of the requirements is one that PostgreSQL plans anew each time.
    Goal("list, share of pgbench", 0.15, 0.24, _against("pgbench", "list")),
    Goal("get, share of pgbench", 0.05, 0.08, _against("pgbench-prepared", "get")),
    Goal("create, share of pgbench", 0.10, 0.16, _against("pgbench-prepared", "create")),
    Goal("list, server CPU as a multiple of d's", 3.4, 2.3, _against("d", "list", cpu)),
    Goal("get, server CPU as a multiple of d's", 3, 1.8, _against("d", "get", cpu)),
    Goal("list, p99 as a multiple of c's", 1, 0.6, _against("c", "list", p99)),
    Goal("20,000 to 200,000 issues, all lists", 1.2, 1.05, _growth("list")),
    # Not all together: what a common word costs would hide behind the missing one.
    *(
        Goal(f"20,000 to 200,000 issues, {name}", 4, 2, _growth("search", name))
        for name in SEARCHES
    ),
    Goal("deep page as a multiple of the first", 1.3, 1, _deep),
    Goal("memory of two processes, MB", 200, 150, _memory),
)


def goals_table(results: Results, *, whole: bool) -> str:
    """Each goal, what was measured, and the verdict; of a part, only what was measured."""
    rows = [row for row in _rows(results) if whole or row[-1] != NOT_MEASURED]
    return aligned([("goal", "must", "aim", "measured", "verdict"), *rows])


def _rows(results: Results) -> Iterable[tuple[str, ...]]:
    for goal in GOALS:
        value, sign = goal.measure(results), ">=" if goal.upwards else "<="
        yield (
            goal.name,
            f"{sign} {goal.must:g}",
            f"{sign} {goal.aim:g}",
            "-" if value is None else str(value),
            goal.verdict(value),
        )
