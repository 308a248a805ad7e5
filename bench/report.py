"""The table of a run, as Markdown that also reads well in a terminal."""

from collections.abc import Sequence

from bench.measuring import Sample
from bench.results import Results, Spread, Value, short
from bench.servers import KINDS
from bench.workloads import WORKLOADS

HEADINGS = (
    "workload", "server", "requests/s", "x c", "x a", "x d", "p50 ms", "p99 ms",
    "CPU ms", "PG CPU ms", "MB",
)  # fmt: skip
MEASURES: tuple[Value, ...] = (
    lambda each: each.p50,
    lambda each: each.p99,
    lambda each: each.cpu,
    lambda each: each.pg_cpu,
    lambda each: each.memory_mb,
)
TITLES = {
    **{kind.name: kind.title for kind in KINDS.values()},
    "pgbench": "planned anew each time",
    "pgbench-prepared": "prepared once",
}
REFERENCES = ("c", "a", "d")


def table(results: Results, processes: int) -> str:
    """One row for each workload and server that was measured."""
    rows = [
        _row(results, name, workload, processes)
        for workload in WORKLOADS
        for name in TITLES
        if results.of(name, workload, processes)
    ]
    return aligned([HEADINGS, *rows])


def _row(results: Results, name: str, workload: str, processes: int) -> Sequence[str]:
    cell = (name, workload, processes)
    ratios = [
        results.ratio((name, other), workload, processes, rate) if name.startswith("ours") else None
        for other in REFERENCES
    ]
    return [
        workload,
        f"{name}: {TITLES[name]}",
        _median(results.value(*cell, rate)),
        *map(shown, ratios),
        *(_median(results.value(*cell, value)) for value in MEASURES),
    ]


def _median(value: Spread | None) -> str:
    # What pgbench does not tell is 0.
    return short(value.middle) if value and value.middle else "-"


def rate(sample: Sample) -> float:
    """Requests a second."""
    return sample.rate


def shown(value: Spread | None) -> str:
    """A dash where nothing was measured."""
    return "-" if value is None else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns stand below each other."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
