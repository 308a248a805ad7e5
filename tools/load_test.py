"""Loads a server of its own with a team's day, by k6, and writes the report: ``make load``.

The server is ``bugtracker serve`` with an embedded PostgreSQL, a seeded organisation and no limits
of requests, for all of them come from one address. k6 shows how far it is. Exit code: k6's; 99 is
a threshold of load/day.js that was missed.
"""

import argparse
import csv
import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import httpx

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "performance"
PASSWORD = "Tidal-Library-1843"
PORT = 8090
UNLIMITED = ("PER_IP", "LOGIN", "SENSITIVE", "API_KEY")
LEFT_OUT = ("setup",)


@dataclass
class Day:
    """What was measured: milliseconds by operation, and requests by second."""

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    by_second: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Seeds, serves, loads, reports."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make load")
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--issues", type=int, default=20_000)
    parser.add_argument("--k6", default=".tools/deploy/bin/k6")
    arguments = parser.parse_args()
    raw = ROOT / ".local" / "load" / "day.csv"
    raw.parent.mkdir(parents=True, exist_ok=True)
    environment = _environment(raw.parent)
    slug = f"load-{arguments.issues}"
    owner = _seed(environment, slug, arguments.issues, raw.parent)
    with serving(environment) as process:
        code = _k6(arguments, owner, raw)
        cpu = _cpu_seconds(process.pid)
    day = read(raw)
    _report(arguments, day, cpu, code)
    print(f"load: wrote {REPORT.relative_to(ROOT)}/load.md", file=sys.stderr)
    return code


def _environment(directory: Path) -> dict[str, str]:
    limits = {f"BUGTRACKER_RATE_LIMIT_{name}": "1000000/minute" for name in UNLIMITED}
    return {
        **os.environ,
        **limits,
        "BUGTRACKER_LOCAL_DIR": str(directory),
        "BUGTRACKER_PORT": str(PORT),
        "BUGTRACKER_LOG_LEVEL": "WARNING",
    }


def _seed(environment: dict[str, str], slug: str, issues: int, directory: Path) -> str:
    """An organisation of so many issues, made once; the address of its owner."""
    known = directory / f"{slug}.owner"
    if not known.exists():
        command = [sys.executable, "-m", "bugtracker", "seed", "--org", slug]
        seeded = subprocess.run(
            [*command, "--issues", str(issues), "--password", PASSWORD],
            cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        owner = re.search(r"(\S+) \(owner\)", seeded.stdout)
        if owner is None:
            raise SystemExit(f"load: {slug} has no owner:\n{seeded.stdout}")
        known.write_text(owner[1])
    return known.read_text()


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The server, ready, until the block is left."""
    command = [sys.executable, "-m", "bugtracker", "serve"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 60
        while not _is_ready():
            if process.poll() is not None or time.monotonic() > ends:
                raise SystemExit("load: the server did not start")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _is_ready() -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{PORT}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _k6(arguments: argparse.Namespace, owner: str, raw: Path) -> int:
    values = {
        "API": f"http://127.0.0.1:{PORT}",
        "OWNER": owner,
        "PASSWORD": PASSWORD,
        "PEOPLE": arguments.people,
        "SECONDS": arguments.seconds,
    }
    given = [part for name, value in values.items() for part in ("-e", f"{name}={value}")]
    command = [arguments.k6, "run", "--no-usage-report", "--out", f"csv={raw}", *given]
    return subprocess.run([*command, "load/day.js"], cwd=ROOT, check=False).returncode


def _cpu_seconds(pid: int) -> float:
    """Of the API's process and its threads so far, in user and system mode (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read(raw: Path) -> Day:
    """The requests that k6 wrote down."""
    day = Day()
    with raw.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["metric_name"] != "http_req_duration" or row["name"] in LEFT_OUT:
                continue
            milliseconds = float(row["metric_value"])
            day.took[row["name"]].append(milliseconds)
            day.by_second[int(row["timestamp"])].append(milliseconds)
            day.statuses[row["status"]] += 1
    return day


def percentile(values: list[float], percent: int) -> float:
    """In the unit of the values; of one value, itself."""
    return quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]


def _report(arguments: argparse.Namespace, day: Day, cpu: float, code: int) -> None:
    everything = [value for values in day.took.values() for value in values]
    seconds = max(day.by_second) - min(day.by_second) + 1
    rows = "\n".join(
        f"| {name} | {len(values):,} | {percentile(values, 50):.1f} | {percentile(values, 95):.1f} "
        f"| {percentile(values, 99):.1f} |"
        for name, values in sorted(day.took.items(), key=lambda item: -len(item[1]))
    )
    text = TEMPLATE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        people=arguments.people,
        issues=f"{arguments.issues:,}",
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        requests=f"{len(everything):,}",
        seconds=seconds,
        rate=f"{len(everything) / seconds:.0f}",
        statuses=", ".join(
            f"{status}: {count:,}" for status, count in sorted(day.statuses.items())
        ),
        verdict="all met" if code == 0 else f"missed (k6's exit code {code})",
        cpu=f"{1000 * cpu / len(everything):.1f}",
        rows=rows,
    )
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "load.md").write_text(text)
    (REPORT / "load.svg").write_text(plot(day))


TEMPLATE = """\
# A day under load

Written by `make load` on {date}: {people} people at once, each logging in once and then reading,
searching, commenting, creating and moving issues with pauses of 0.2 to 1.2 s
([load/day.js](../../load/day.js)), against one process of `bugtracker serve` with its embedded
PostgreSQL and {issues} issues. k6, the server, the worker and the database shared one machine
({machine}), so this is a baseline to compare later runs on the same machine with, and no limit of
what the server can do.

{requests} requests in {seconds} s ({rate} a second); answers by status: {statuses}. Thresholds:
{verdict}. The API's process took {cpu} ms of processor time a request, its start included.

| operation | requests | p50 ms | p95 ms | p99 ms |
|---|---|---|---|---|
{rows}

![Requests a second, and the 95th percentile of their time](load.svg)
"""

WIDTH, HEIGHT, MARGIN = 720, 280, 40


def plot(day: Day) -> str:
    """Requests a second and the 95th percentile of each second, as SVG."""
    first, last = min(day.by_second), max(day.by_second)
    moments = range(first, last + 1)
    rates = [float(len(day.by_second.get(each, ()))) for each in moments]
    slow = [
        percentile(day.by_second[each], 95) if each in day.by_second else 0.0 for each in moments
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f"{_line(rates, '#1f6feb', f'requests a second (up to {max(rates):.0f})', 20)}"
        f"{_line(slow, '#d1242f', f'95th percentile (up to {max(slow):.0f} ms)', 36)}"
        f'<text x="{MARGIN}" y="{HEIGHT - 10}">0 s</text>'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 10}" text-anchor="end">{last - first} s</text>'
        "</svg>\n"
    )


def _line(values: list[float], colour: str, label: str, y: int) -> str:
    """A curve with its name, scaled to its own maximum."""
    across, up = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    most = max(values) or 1
    points = " ".join(
        f"{MARGIN + across * index / max(len(values) - 1, 1):.1f},"
        f"{HEIGHT - MARGIN - up * value / most:.1f}"
        for index, value in enumerate(values)
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<text x="{MARGIN}" y="{y}" fill="{colour}">{label}</text>'
    )


if __name__ == "__main__":
    sys.exit(main())
