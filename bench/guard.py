"""Whether our server has become slower: ``make bench-guard``. No timed test.

The processor time of a request of ours, as a multiple of reference (d)'s for the same request in
the same round: how fast the machine is, and what else runs on it, is in both. (Counted instructions
would be steadier; most virtual machines have no counters.) The median of the rounds may exceed
what guard.json says by its tolerance; then the exit code is 1. ``--update`` writes down what is.
"""

import argparse
import json
import sys
from pathlib import Path

from bench.load import require_wrk
from bench.measuring import Course, Stage, measure
from bench.place import prepared
from bench.results import Results, Spread
from bench.same import require_same
from bench.scene import set_up
from bench.servers import KINDS, running
from bench.workloads import WORKLOADS

BOUNDS = Path(__file__).with_name("guard.json")
GUARDED = ("get", "list", "create")
REFERENCE = "d"
SIZE = 2000


def main() -> int:
    """Measures, compares with guard.json."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench-guard")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    require_wrk()
    ratios = measured(arguments.rounds, arguments.seconds)
    bounds = json.loads(BOUNDS.read_text())
    if arguments.update:
        bounds["ratios"] = {name: round(ratio.middle, 2) for name, ratio in ratios.items()}
        BOUNDS.write_text(json.dumps(bounds, indent=2) + "\n")
    text, exceeded = verdict(ratios, bounds)
    print(text)
    return 1 if exceeded else 0


def measured(rounds: int, seconds: float) -> dict[str, Spread]:
    """Our CPU time a request as a multiple of the reference's, by workload."""
    workloads = [WORKLOADS[name] for name in GUARDED]
    with prepared(SIZE) as place:
        scene = set_up(place)
        kinds = [KINDS["ours"], KINDS[REFERENCE]]
        with running(kinds, 1, place, scene, None) as servers:
            require_same(servers, workloads, scene)
            stage = Stage(place, scene, servers, limit=None)
            results = Results(list(measure(stage, workloads, Course(rounds, seconds, 1))))
    if errors := sum(each.errors for each in results.samples):
        raise SystemExit(f"bench-guard: {errors} requests failed")
    found = {
        name: results.ratio(("ours", REFERENCE), name, 1, lambda each: each.cpu) for name in GUARDED
    }
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def verdict(ratios: dict[str, Spread], bounds: dict[str, object]) -> tuple[str, bool]:
    """What to print, and whether any ratio is too high."""
    known, tolerance = bounds["ratios"], bounds["tolerance"]
    assert isinstance(known, dict)
    assert isinstance(tolerance, float)
    lines, exceeded = [], False
    for name, ratio in ratios.items():
        bound = known[name] * (1 + tolerance)
        too_high = ratio.middle > bound
        exceeded |= too_high
        lines.append(
            f"bench-guard: {name:7} {ratio} times the CPU of ({REFERENCE}), at most {bound:.2f}: "
            f"{'EXCEEDED' if too_high else 'good'}"
        )
    return "\n".join(lines), exceeded


if __name__ == "__main__":
    sys.exit(main())
