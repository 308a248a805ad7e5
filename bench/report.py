"""The table of a run, as Markdown that also reads well in a terminal."""

from collections.abc import Sequence

from bench.measuring import Sample
from bench.results import Results, Spread
from bench.servers import KINDS, Kind
from bench.workloads import WORKLOADS

HEADINGS = (
    "workload", "server", "requests/s", "x c", "x a", "x d", "p50 ms", "p99 ms",
    "CPU ms", "PG CPU ms", "MB",
)  # fmt: skip
REFERENCES = ("c", "a", "d")


def table(results: Results, processes: int) -> str:
    """One row for each workload and server that was measured."""
    rows = [
        _row(results, kind, workload, processes)
        for workload in WORKLOADS
        for kind in KINDS.values()
        if results.of(kind.name, workload, processes)
    ]
    return aligned([HEADINGS, *rows])


def _row(results: Results, kind: Kind, workload: str, processes: int) -> Sequence[str]:
    cell = (kind.name, workload, processes)
    ratios = [
        results.ratio((kind.name, other), workload, processes, rate) if kind.ours else None
        for other in REFERENCES
    ]
    return [
        workload,
        f"{kind.name}: {kind.title}",
        shown(results.value(*cell, rate)),
        *map(shown, ratios),
        *(
            shown(results.value(*cell, value))
            for value in (
                lambda each: each.p50,
                lambda each: each.p99,
                lambda each: each.cpu,
                lambda each: each.pg_cpu,
                lambda each: each.memory_mb,
            )
        ),
    ]


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
