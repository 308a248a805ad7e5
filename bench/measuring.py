"""Rounds: each server answers each workload for some seconds, one after the other."""

import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.limit import MODES, Limit, limited
from bench.place import Place
from bench.processes import busy_ms, cpu_ms, postmaster, pss_mb, rest
from bench.scene import Scene, refresh_tokens
from bench.servers import Running
from bench.workloads import Workload

WARM_SECONDS = 1
REFRESHING = 64
"""Sessions whose tokens are refreshed in turn: far more than requests in flight."""


@dataclass(frozen=True)
class Sample:
    """One server under one workload for some seconds. CPU in ms a request, times in ms."""

    server: str
    workload: str
    processes: int
    round: int
    rate: float
    p50: float = 0
    p99: float = 0
    cpu: float = 0
    pg_cpu: float = 0
    """Of PostgreSQL, and of Redis where limits are counted in it."""
    memory_mb: float = 0
    errors: int = 0
    others: float = 0
    """Which part of the machine other programs used meanwhile."""


@dataclass(frozen=True)
class Course:
    """What is measured, and how long."""

    rounds: int
    seconds: float
    processes: int


@dataclass(frozen=True)
class Stage:
    """All that runs."""

    place: Place
    scene: Scene
    servers: Sequence[Running]
    limit: Limit | None
    backing: Sequence[int] = ()
    """Processes that serve the servers, PostgreSQL aside."""


def measure(stage: Stage, workloads: Sequence[Workload], course: Course) -> Iterator[Sample]:
    """All samples, round by round; a first round that counts nowhere warms everybody up."""
    turn = 0
    for round_ in range(course.rounds + 1):
        for workload in workloads:
            requests = _written(stage, workload)
            # Every other round the other way round: nobody is always the one after the same.
            for server in stage.servers if round_ % 2 else reversed(stage.servers):
                if not server.kind.answers(workload):
                    continue
                turn += 1
                seconds = course.seconds if round_ else WARM_SECONDS
                sample = _sample(
                    stage, server, (workload, requests), (seconds, turn, round_), course
                )
                if round_:
                    _tell(sample, course)
                    yield sample
            if round_ and stage.limit is not None and workload.name in limited():
                yield from _limits(stage.limit, workload, round_, course)


def _written(stage: Stage, workload: Workload) -> load.Requests:
    file = stage.place.directory / f"{workload.name}.requests"
    file.write_text("\0".join(request.text for request in workload.requests(stage.scene)))
    return load.Requests(file, workload.connections)


def _sample(
    stage: Stage,
    server: Running,
    what: tuple[Workload, load.Requests],
    when: tuple[float, int, int],
    course: Course,
) -> Sample:
    (workload, asked), (seconds, turn, round_) = what, when
    tokens = _tokens(stage) if workload.refreshes else None
    rest(server.pids)
    meter = _Meter(stage, server)
    seen = load.run(server.ports, asked, max(seconds, workload.least_seconds), turn, tokens)
    cpu, pg_cpu, others = meter.read()
    requests = max(seen.requests, 1)
    return Sample(
        server.kind.name, workload.name, course.processes, round_, seen.rate, seen.p50, seen.p99,
        cpu / requests, pg_cpu / requests, pss_mb(server.pids), seen.errors, others,
    )  # fmt: skip


def _tokens(stage: Stage) -> Path:
    file = stage.place.directory / "refresh_tokens"
    file.write_text("\n".join(refresh_tokens(stage.place, stage.scene, REFRESHING)))
    return file


class _Meter:
    """What was used since it was made."""

    def __init__(self, stage: Stage, server: Running) -> None:
        postgres = postmaster(stage.place.directory / "postgres" / "data")
        self._backing = [postgres, *(stage.backing if server.kind.redis else ())]
        self._server = server.pids
        self._began = self._all()
        self._time = time.monotonic()

    def _all(self) -> tuple[float, float, float, float]:
        client = resource.getrusage(resource.RUSAGE_CHILDREN)
        load_ms = 1000 * (client.ru_utime + client.ru_stime)
        return cpu_ms(self._server), cpu_ms(self._backing), load_ms, busy_ms()

    def read(self) -> tuple[float, float, float]:
        """(ms of the server, ms of PostgreSQL, part of the machine that others used)."""
        server, backing, client, busy = (
            now - then for now, then in zip(self._all(), self._began, strict=True)
        )
        capacity = 1000 * (time.monotonic() - self._time) * (os.cpu_count() or 1)
        return server, backing, max(0.0, busy - server - backing - client) / capacity


def _limits(limit: Limit, workload: Workload, round_: int, course: Course) -> Iterator[Sample]:
    for server in MODES:
        tps = limit.rate(workload.name, server, course.seconds)
        sample = Sample(server, workload.name, course.processes, round_, tps)
        _tell(sample, course)
        yield sample


def _tell(sample: Sample, course: Course) -> None:
    trouble = f", {sample.errors} ERRORS" if sample.errors else ""
    print(
        f"bench: {course.processes} process(es), round {sample.round}/{course.rounds}, "
        f"{sample.workload:14} {sample.server:16} {sample.rate:8.1f}/s, "
        f"CPU {sample.cpu:6.2f} + {sample.pg_cpu:5.2f} ms, others {sample.others:4.0%}{trouble}",
        file=sys.stderr,
        flush=True,
    )
