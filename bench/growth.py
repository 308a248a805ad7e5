"""How reads grow with the data: ``make bench-growth``.

Every list, filter, search and statistic is asked of our server, one request at a time, with 2,000,
20,000 and 200,000 issues in one organisation, and of the smallest again with 999 organisations
beside it. What a request costs apart from its statement is in each of the times, so a ratio of 1
says that the difference drowns in it. Writes docs/performance/growth.md and .json.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import httpx

from bench.crowd import crowded
from bench.place import prepared
from bench.questions import QUESTIONS, Question, path_of
from bench.report import aligned
from bench.results import short
from bench.scene import Scene, set_up
from bench.servers import FIRST_PORT, KINDS, running
from bench.walking import with_deep_cursor
from bench.writing import DOCS, LAST, machine

SIZES = (2_000, 20_000, 200_000)
WARM = 5


@dataclass(frozen=True)
class Column:
    """What a question took in one database, in milliseconds by its name."""

    title: str
    times: Mapping[str, float]


def main() -> int:
    """Measures, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench-growth")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--times", type=int, default=40, help="requests of each kind")
    parser.add_argument("--organisations", type=int, default=1000)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    columns = _columns(sizes, arguments.times, arguments.organisations)
    text = _text(columns, len(sizes), arguments.times)
    print(text)
    _write(text, columns, len(sizes), to_docs=tuple(sizes) == SIZES)
    return 0


def _columns(sizes: Sequence[int], times: int, organisations: int) -> list[Column]:
    """All databases run at once: what disturbs, disturbs every column alike."""
    with ExitStack() as stack:
        asked = [
            _prepared(stack, size, f"{size:,} issues", number) for number, size in enumerate(sizes)
        ]
        title = f"{sizes[0]:,} issues, {organisations:,} organisations"
        asked.append(_prepared(stack, sizes[0], title, len(sizes), organisations))
        for number in range(WARM + times):
            print(f"bench: {number + 1} of {WARM + times}", file=sys.stderr)
            for question in QUESTIONS:
                for each in asked:
                    milliseconds = _ask(each.client, question, each.scene, number)
                    if number >= WARM:
                        each.took[question.name].append(milliseconds)
    return [each.column() for each in asked]


@dataclass(frozen=True)
class _Asked:
    """A server on a database, and what it took so far."""

    title: str
    scene: Scene
    client: httpx.Client
    took: dict[str, list[float]]

    def column(self) -> Column:
        return Column(self.title, {name: median(times) for name, times in self.took.items()})


def _prepared(
    stack: ExitStack, size: int, title: str, number: int, organisations: int = 0
) -> _Asked:
    print(f"bench: {title}", file=sys.stderr)
    place = stack.enter_context(prepared(size, "-crowd" if organisations else ""))
    if organisations:
        crowded(place, organisations)
    scene = set_up(place)
    started = running([KINDS["ours"]], 1, place, scene, None, FIRST_PORT + number)
    [server] = stack.enter_context(started)
    scene = with_deep_cursor(scene, server, size)
    headers = {"Authorization": f"Bearer {scene.managers[0].token}"}
    url = f"http://127.0.0.1:{server.ports[0]}"
    client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=60))
    return _Asked(title, scene, client, {question.name: [] for question in QUESTIONS})


def _ask(client: httpx.Client, question: Question, scene: Scene, number: int) -> float:
    began = time.perf_counter()
    answer = client.get(path_of(question, scene, number))
    took = 1000 * (time.perf_counter() - began)
    if answer.status_code != 200:
        raise SystemExit(f"bench: {question.name} answers {answer.status_code}: {answer.text}")
    return took


def _text(columns: Sequence[Column], sizes: int, times: int) -> str:
    first, *_ = columns
    headings = ["question", *(column.title for column in columns)]
    headings += [f"{_ratio_title(columns, sizes)}", "x by organisations"]
    rows = [
        [
            name,
            *(short(column.times[name]) for column in columns),
            short(columns[sizes - 1].times[name] / columns[max(0, sizes - 2)].times[name]),
            short(columns[-1].times[name] / first.times[name]),
        ]
        for name in first.times
    ]
    return TEMPLATE.format(times=times, machine=machine(), table=aligned([headings, *rows]))


def _ratio_title(columns: Sequence[Column], sizes: int) -> str:
    """Of the last step."""
    before, after = (columns[each].title.split()[0] for each in (max(0, sizes - 2), sizes - 1))
    return f"x {before} to {after}"


def _write(text: str, columns: Sequence[Column], sizes: int, *, to_docs: bool) -> None:
    directory = DOCS if to_docs else LAST
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "growth.md").write_text(text)
    before, after = columns[max(0, sizes - 2)], columns[sizes - 1]
    document = {
        "machine": machine(),
        "columns": [{"title": each.title, "times": dict(each.times)} for each in columns],
        "ratios": [
            {
                "name": question.name,
                "kind": question.kind,
                "ratio": round(after.times[question.name] / before.times[question.name], 3),
            }
            for question in QUESTIONS
        ],
    }
    (directory / "growth.json").write_text(json.dumps(document, indent=1) + "\n")


TEMPLATE = """\
# How reads grow

Written by `make bench-growth`: the median of {times} requests of each kind, in milliseconds, one at
a time, by one process of our server ({machine}). A fixed part of each, for all that is not the
statement, is in every column.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
