"""Numbers that are read when somebody asks for them: the pool's, and what only the database knows.

Every process reads the latter, so that they are there whichever process is left: take the maximum
over all of them, not the sum.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, QueuePool, create_engine, text

from bugtracker.db import SESSION_OPTIONS, libpq_options

STATEMENT_TIMEOUT = "1500ms"
KEPT_SECONDS = 2.0
"""Who asks more often gets the same answer."""
MOST_COUNTED = 100_000

STATEMENT = text("""
    SELECT (SELECT count(*) FROM (SELECT FROM procrastinate_jobs WHERE status = 'todo'
                AND (scheduled_at IS NULL OR scheduled_at <= now()) LIMIT :most) due) AS due,
           (SELECT count(*) FROM (SELECT FROM procrastinate_jobs WHERE status = 'todo'
                AND scheduled_at > now() LIMIT :most) later) AS later,
           (SELECT count(*) FROM procrastinate_jobs
             WHERE status = 'doing' AND worker_id IS NOT NULL) AS running,
           extract(epoch FROM now() - least(
               (SELECT min(scheduled_at) FROM procrastinate_jobs
                 WHERE status = 'todo' AND scheduled_at <= now()),
               (SELECT min(e.at) FROM procrastinate_events e WHERE e.job_id = (
                    SELECT id FROM procrastinate_jobs
                     WHERE status = 'todo' AND scheduled_at IS NULL ORDER BY id LIMIT 1))
           )) AS oldest,
           (SELECT count(*) FROM procrastinate_workers
             WHERE last_heartbeat > now() - interval '30 seconds') AS workers,
           (SELECT extract(epoch FROM now() - max(last_heartbeat))
              FROM procrastinate_workers) AS silence,
           (SELECT count(*) FROM webhook_backlogs()) AS backlogs
""")

log = structlog.get_logger()


class PoolCollector(Collector):
    """How many of the process's connections are at work."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """The pool as it is."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        states = GaugeMetricFamily(
            "bugtracker_database_connections",
            "Connections of this process's pool, at work and idle.",
            labels=["state"],
        )
        states.add_metric(["in_use"], pool.checkedout())
        states.add_metric(["idle"], pool.checkedin())
        yield states
        yield _gauge("bugtracker_database_connections_max", "The most there can be.", pool.size())


class DatabaseCollector(Collector):
    """The queue, the workers and the webhooks. Asks on a connection of its own, within seconds, so
    that it works when the pool is used up; where the database does not answer it says that."""

    def __init__(self, engine: Engine) -> None:
        options = {**SESSION_OPTIONS, "statement_timeout": STATEMENT_TIMEOUT}
        self._engine = create_engine(
            engine.url,
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            connect_args={"options": libpq_options(options), "connect_timeout": 2},
        )
        self._lock = threading.Lock()
        self._read_at = -KEPT_SECONDS
        self._row: dict[str, Any] | None = None

    def collect(self) -> Iterable[Metric]:
        """Never raises, whatever the database does."""
        row = self._current()
        yield _gauge("bugtracker_database_up", "Whether the database answers.", row is not None)
        if row is not None:
            yield from _queue(row)

    def close(self) -> None:
        """Closes the connection."""
        self._engine.dispose()

    def _current(self) -> dict[str, Any] | None:
        with self._lock:
            if time.monotonic() - self._read_at >= KEPT_SECONDS:
                self._row = self._read()
                self._read_at = time.monotonic()
            return self._row

    def _read(self) -> dict[str, Any] | None:
        try:
            with self._engine.connect() as connection:
                row = connection.execute(STATEMENT, {"most": MOST_COUNTED}).mappings().one()
        except Exception as error:
            log.warning("metrics_without_database", error=error)
            # The next one connects anew.
            self._engine.dispose()
            return None
        return dict(row)


def _queue(row: dict[str, Any]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "bugtracker_jobs", f"Jobs in the queue, up to {MOST_COUNTED:,} each.", labels=["state"]
    )
    for state, name in (("due", "due"), ("scheduled", "later"), ("running", "running")):
        states.add_metric([state], row[name])
    yield states
    yield _gauge(
        "bugtracker_jobs_oldest_due_seconds",
        "How long the oldest job that could run has waited; 0 where there is none.",
        max(0, row["oldest"] or 0),
    )
    yield _gauge("bugtracker_workers", "Workers that beat in the last 30 s.", row["workers"])
    if row["silence"] is not None:
        yield _gauge(
            "bugtracker_worker_heartbeat_age_seconds",
            "Since a worker was last heard of; absent where there never was one.",
            row["silence"],
        )
    yield _gauge(
        "bugtracker_webhook_backlog_organisations",
        "Organisations with events that no deliveries were made of yet.",
        row["backlogs"],
    )


def _gauge(name: str, documentation: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))
