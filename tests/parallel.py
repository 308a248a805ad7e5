"""Requests that really happen at the same time."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import httpx
from sqlalchemy import Connection, Engine, NullPool, create_engine, text

BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
PATIENCE = 20

Call = Callable[[], httpx.Response]


def at_once(calls: Sequence[Call]) -> list[httpx.Response]:
    """The answers of all calls, in their order; none begins before all threads are ready."""
    start = Barrier(len(calls), timeout=30)

    def run(call: Call) -> httpx.Response:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class Standstill:
    """Somebody who holds rows locked, and the requests that wait for them meanwhile."""

    def __init__(self, connection: Connection, watch: Connection) -> None:
        self._connection, self._watch = connection, watch
        self._pool = ThreadPoolExecutor()
        self.requests: list[Future[httpx.Response]] = []

    def execute(self, statement: str, **values: object) -> None:
        """Runs SQL in the transaction that holds its locks until :meth:`release`."""
        self._connection.execute(text(statement), values)

    def send(self, call: Call) -> Future[httpx.Response]:
        """Sends a request and waits until the database blocks it; it is answered at once when
        nothing blocks it."""
        request = self._pool.submit(call)
        self.requests.append(request)
        deadline = time.monotonic() + PATIENCE
        while self.blocked < self.unanswered:
            assert time.monotonic() < deadline, "neither blocked nor answered"
            time.sleep(0.005)
        return request

    @property
    def unanswered(self) -> int:
        return sum(not request.done() for request in self.requests)

    @property
    def blocked(self) -> int:
        return int(self._watch.execute(BLOCKED).scalar_one())

    def release(self) -> list[httpx.Response]:
        """Commits, and returns the answers of all requests in the order they were sent."""
        self._connection.commit()
        return [request.result(PATIENCE) for request in self.requests]

    def close(self) -> None:
        self._connection.rollback()
        self._pool.shutdown()


@contextmanager
def standstill(admin_url: str) -> Iterator[Standstill]:
    """A superuser's transaction, for tests that decide themselves who comes first."""
    engine: Engine = create_engine(admin_url, poolclass=NullPool)
    watcher = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, watcher.connect() as watch:
        still = Standstill(connection, watch)
        try:
            yield still
        finally:
            still.close()
