"""Measures our server and the references in interleaved rounds: ``make bench``."""

import argparse
import sys
from collections.abc import Callable, Iterable

from bench.load import require_wrk
from bench.measuring import Course, Sample, measure
from bench.place import Place, prepared
from bench.report import table
from bench.results import Results
from bench.same import require_same
from bench.scene import Scene, set_up
from bench.servers import KINDS, running
from bench.workloads import WORKLOADS


def main() -> int:
    """Prepares, compares the answers, measures, reports."""
    arguments = _arguments()
    require_wrk()
    samples: list[Sample] = []
    with prepared(arguments.size) as place:
        scene = set_up(place)
        for processes in arguments.processes:
            samples += _measured(place, scene, processes, arguments)
            print(f"\n{processes} process(es), {arguments.size:,} issues\n", flush=True)
            print(table(Results(samples), processes), flush=True)
    return 0


def _measured(
    place: Place, scene: Scene, processes: int, arguments: argparse.Namespace
) -> list[Sample]:
    kinds = [KINDS[name] for name in arguments.servers]
    workloads = [WORKLOADS[name] for name in arguments.only]
    course = Course(arguments.rounds, arguments.seconds, processes)
    with running(kinds, processes, place, scene, None) as servers:
        print(f"bench: {len(servers)} kinds of server run, comparing answers", file=sys.stderr)
        require_same(servers, [each for each in workloads if each.compared], scene)
        return list(measure(place, scene, servers, workloads, course))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench")
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--processes", type=_numbers, default=[2])
    parser.add_argument("--only", type=_among(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--servers", type=_among(KINDS), default=["ours", "a", "c", "d"])
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _among(known: Iterable[str]) -> Callable[[str], list[str]]:
    everything = list(known)

    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(everything):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not of {everything}")
        return names

    return chosen


if __name__ == "__main__":
    sys.exit(main())
