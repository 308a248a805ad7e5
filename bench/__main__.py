"""Measures our server and the references in interleaved rounds: ``make bench``.

A run of everything writes docs/performance/bench.md, .json and .svg; a part of it only prints.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator

from bench import writing
from bench.limit import limit_of
from bench.load import require_wrk
from bench.measuring import Course, Sample, Stage, measure
from bench.place import Place, prepared
from bench.redis import Redis, redis_server
from bench.results import Results
from bench.same import require_same
from bench.scene import Scene, set_up
from bench.servers import KINDS, Kind, running
from bench.walking import with_deep_cursor
from bench.workloads import WORKLOADS


def main() -> int:
    """Prepares, compares the answers, measures, reports."""
    arguments = _arguments()
    require_wrk()
    samples: list[Sample] = []
    with prepared(arguments.size) as place, redis_server() as redis:
        scene = set_up(place)
        for processes in arguments.processes:
            samples += _measured(place, scene, redis, processes, arguments)
    whole, results = _is_whole(arguments), Results(samples)
    text = writing.text_of(results, arguments, whole=whole)
    print(text)
    writing.write(results, text, arguments, whole=whole)
    return 1 if any(each.errors for each in samples) else 0


def _is_whole(arguments: argparse.Namespace) -> bool:
    whole = (set(WORKLOADS), set(KINDS), {1, 2})
    enough = arguments.size >= 20_000 and arguments.rounds >= 3 and arguments.limit
    return enough and whole == tuple(
        set(each) for each in (arguments.only, arguments.servers, arguments.processes)
    )


def _measured(
    place: Place,
    scene: Scene,
    redis: Redis | None,
    processes: int,
    arguments: argparse.Namespace,
) -> Iterator[Sample]:
    kinds = [KINDS[name] for name in arguments.servers if _can(KINDS[name], processes, redis)]
    workloads = [WORKLOADS[name] for name in arguments.only]
    course = Course(arguments.rounds, arguments.seconds, processes)
    with running(kinds, processes, place, scene, redis.url if redis else None) as servers:
        print(f"bench: {len(servers)} servers run; comparing their answers", file=sys.stderr)
        require_same(servers, [each for each in workloads if each.compared], scene)
        ours = next((each for each in servers if each.kind.ours), None)
        if ours and "deep" in arguments.only:
            scene = with_deep_cursor(scene, ours, arguments.size)
        # Once: it knows nothing of our processes.
        limited = arguments.limit and processes == arguments.processes[0]
        limit = limit_of(place, scene) if limited else None
        stage = Stage(place, scene, servers, limit, [redis.pid] if redis else [])
        yield from measure(stage, workloads, course)


def _can(kind: Kind, processes: int, redis: Redis | None) -> bool:
    """Whether this form of a server exists here."""
    if kind.redis and redis is None:
        return False
    return not kind.embedded or processes == 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench")
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--processes", type=_numbers, default=[2, 1])
    parser.add_argument("--only", type=_among(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--servers", type=_among(KINDS), default=list(KINDS))
    parser.add_argument("--no-limit", dest="limit", action="store_false", help="without pgbench")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _among(known: Iterable[str]) -> Callable[[str], list[str]]:
    everything = list(known)

    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(everything):
            wrong = ", ".join(sorted(unknown))
            raise argparse.ArgumentTypeError(f"{wrong}: not of {', '.join(everything)}")
        return names

    return chosen


if __name__ == "__main__":
    sys.exit(main())
