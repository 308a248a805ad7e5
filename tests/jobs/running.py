"""A worker on a real database; as a script, a worker process of its own."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text

from bugtracker.app import create_runtime
from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.jobs.worker import WorkerThread, run_worker
from bugtracker.models import Account
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings


@contextmanager
def working(runtime: Runtime) -> Iterator[WorkerThread]:
    """A worker in a thread, as in ``serve``."""
    worker = WorkerThread(runtime)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until something holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def jobs(runtime: Runtime) -> list[tuple[str, str, int]]:
    """Task, status and attempts of every job, oldest first."""
    query = text(
        "SELECT task_name, status::text, attempts FROM procrastinate_jobs"
        " WHERE task_name LIKE 'mail.%' ORDER BY id"
    )
    with runtime.db.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def execute(runtime: Runtime, statement: str) -> None:
    with runtime.db.read() as connection:
        connection.execute(text(statement))


def account(**different: object) -> Account:
    now = utc_now()
    fields = {"username": "ada", "email": "ada@example.com", "verified_at": None, **different}
    return Account(id=new_id(), created_at=now, updated_at=now, **fields)


async def _work_until_killed() -> None:
    await run_worker(create_runtime(Settings()), asyncio.Event())


if __name__ == "__main__":
    asyncio.run(_work_until_killed())
