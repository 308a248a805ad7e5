"""Rounds: each server answers each workload for some seconds, one after the other."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.place import Place
from bench.processes import cpu_ms, postmaster, pss_mb
from bench.scene import Scene
from bench.servers import Running
from bench.workloads import Workload

WARM_SECONDS = 1


@dataclass(frozen=True)
class Sample:
    """One server under one workload for some seconds. CPU in ms a request, times in ms."""

    server: str
    workload: str
    processes: int
    round: int
    rate: float
    p50: float
    p99: float
    cpu: float
    pg_cpu: float
    memory_mb: float
    errors: int


@dataclass(frozen=True)
class Course:
    """What is measured, and how long."""

    rounds: int
    seconds: float
    processes: int


def measure(
    place: Place,
    scene: Scene,
    servers: Sequence[Running],
    workloads: Sequence[Workload],
    course: Course,
) -> Iterator[Sample]:
    """All samples, round by round; the first moments of each server count nowhere."""
    turn = 0
    for round_ in range(course.rounds + 1):
        for workload in workloads:
            file = _written(place, scene, workload)
            # Every other round the other way round: nobody is always the one after the same.
            for server in servers if round_ % 2 else reversed(servers):
                if not (workload.compared or server.kind.ours):
                    continue
                turn += 1
                warming = round_ == 0
                seconds = WARM_SECONDS if warming else course.seconds
                sample = _sample(place, server, workload, file, (seconds, turn, round_), course)
                if not warming:
                    _tell(sample, course)
                    yield sample


def _written(place: Place, scene: Scene, workload: Workload) -> Path:
    file = place.directory / f"{workload.name}.requests"
    file.write_text("\0".join(request.text for request in workload.requests(scene)))
    return file


def _sample(
    place: Place,
    server: Running,
    workload: Workload,
    file: Path,
    when: tuple[float, int, int],
    course: Course,
) -> Sample:
    seconds, turn, round_ = when
    postgres = [postmaster(place.directory / "postgres" / "data")]
    before, pg_before = cpu_ms(server.pids), cpu_ms(postgres)
    seen = load.run(server.ports, file, seconds, turn)
    cpu, pg_cpu = cpu_ms(server.pids) - before, cpu_ms(postgres) - pg_before
    requests = max(seen.requests, 1)
    return Sample(
        server.kind.name, workload.name, course.processes, round_, seen.rate, seen.p50, seen.p99,
        cpu / requests, pg_cpu / requests, pss_mb(server.pids), seen.errors,
    )  # fmt: skip


def _tell(sample: Sample, course: Course) -> None:
    trouble = f", {sample.errors} ERRORS" if sample.errors else ""
    print(
        f"bench: {course.processes} process(es), round {sample.round}/{course.rounds}, "
        f"{sample.workload:13} {sample.server:10} {sample.rate:8.1f}/s, "
        f"CPU {sample.cpu:.2f} + {sample.pg_cpu:.2f} ms{trouble}",
        file=sys.stderr,
        flush=True,
    )
