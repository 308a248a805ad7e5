"""Samples put together: medians, and ratios taken within each round."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from bench.measuring import Sample

Value = Callable[[Sample], float]


@dataclass(frozen=True)
class Spread:
    """The median over the rounds, the least and the most."""

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{short(self.middle)} ({short(self.least)}-{short(self.most)})"


def short(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Results:
    """All samples of a run."""

    samples: list[Sample]

    def of(self, server: str, workload: str, processes: int) -> dict[int, Sample]:
        """The samples of a cell, by round."""
        wanted = (server, workload, processes)
        return {
            each.round: each
            for each in self.samples
            if (each.server, each.workload, each.processes) == wanted
        }

    def value(self, server: str, workload: str, processes: int, value: Value) -> Spread | None:
        """A measure of one cell; None where it was not measured."""
        return spread(map(value, self.of(server, workload, processes).values()))

    def ratio(
        self, servers: tuple[str, str], workload: str, processes: int, value: Value
    ) -> Spread | None:
        """A measure of the first server as a multiple of the second's, round by round."""
        ours, theirs = (self.of(server, workload, processes) for server in servers)
        return spread(
            value(ours[each]) / value(theirs[each])
            for each in ours.keys() & theirs.keys()
            if value(theirs[each])
        )


def spread(values: Iterable[float]) -> Spread | None:
    """None of nothing."""
    known = sorted(values)
    return Spread(median(known), known[0], known[-1]) if known else None
