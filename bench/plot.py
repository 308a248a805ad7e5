"""Bars: requests a second of each server, as multiples of the FastAPI reference."""

from bench.report import rate
from bench.results import Results, Spread
from bench.workloads import WORKLOADS

COLOURS = {
    "ours": "#1f6feb",
    "ours-redis": "#79c0ff",
    "a": "#d1242f",
    "c": "#8c959f",
    "d": "#2da44e",
}
UNIT = "c"
LEFT, WIDTH, BAR, GAP, TOP = 130, 720, 12, 14, 40


def plot(results: Results, processes: int) -> str:
    """An SVG, with a line from the least to the most over each bar."""
    groups = [
        (workload, bars) for workload in WORKLOADS if (bars := _bars(results, workload, processes))
    ]
    most = max((bar.most for _, bars in groups for bar in bars.values()), default=1.0)
    y, parts = TOP, [_legend(processes)]
    for workload, bars in groups:
        parts.append(f'<text x="{LEFT - 8}" y="{y + BAR}" text-anchor="end">{workload}</text>')
        for name, value in bars.items():
            parts.append(_bar(name, value, y, (WIDTH - LEFT - 60) / most))
            y += BAR
        y += GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
        'font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{y}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _bars(results: Results, workload: str, processes: int) -> dict[str, Spread]:
    ratios = {name: results.ratio((name, UNIT), workload, processes, rate) for name in COLOURS}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def _legend(processes: int) -> str:
    names = "".join(
        f'<tspan fill="{colour}" font-weight="bold"> {name} </tspan>'
        for name, colour in COLOURS.items()
    )
    number = "one process" if processes == 1 else f"{processes} processes"
    return f'<text x="8" y="20">Requests a second, c = 1, {number}:{names}</text>'


def _bar(name: str, value: Spread, y: int, scale: float) -> str:
    middle = y + BAR / 2
    least, most = (LEFT + scale * each for each in (value.least, value.most))
    return (
        f'<rect x="{LEFT}" y="{y + 1}" width="{scale * value.middle:.1f}" height="{BAR - 2}" '
        f'fill="{COLOURS[name]}"/>'
        f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{middle}" y2="{middle}" stroke="black"/>'
        f'<text x="{most + 4:.1f}" y="{y + BAR - 2}">{value.middle:.2f}</text>'
    )
