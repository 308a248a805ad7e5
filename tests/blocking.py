"""Stops a request in the middle: it waits for a lock that the test holds."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from sqlalchemy import text

from bugtracker.runtime import Runtime

Result = TypeVar("Result")

WAITING = text("SELECT pid FROM pg_stat_activity WHERE :blocker = ANY(pg_blocking_pids(pid))")


class Blocker:
    """A transaction of the test's own (``session``); commits when the block is left.

    Leaving waits for what was started, so results are there afterwards.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stack = ExitStack()

    def __enter__(self) -> "Blocker":
        self._executor = self._stack.enter_context(ThreadPoolExecutor())
        self.session = self._stack.enter_context(self._runtime.db.transaction())
        self.pid = self.session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def start(self, action: Callable[[], Result]) -> Future[Result]:
        """Begins an action in a thread; returns as soon as it waits for our lock."""
        future = self._executor.submit(action)
        self.waiting_pid()
        return future

    def waiting_pid(self) -> int:
        """The backend that waits for our lock."""
        deadline = time.monotonic() + 10
        with self._runtime.db.read() as connection:
            while True:
                pid = connection.execute(WAITING, {"blocker": self.pid}).scalar()
                if pid is not None:
                    return int(pid)
                assert time.monotonic() < deadline, "nobody waits"
                time.sleep(0.01)
