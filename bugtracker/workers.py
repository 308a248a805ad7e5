"""Threads for what the event loop must not do, a few of them busy at a time.

Python runs one thread at a time: more that are busy only get in each other's way, and each wait
for the interpreter is two switches of the kernel's. What takes long, though, waits for somebody
else most likely, the database or a hash: its thread gets a successor, and ends after it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import structlog

LONG_SECONDS = 0.01
"""What takes longer gives its turn away, where others wait for one."""

LAST_SECONDS = 15.0
"""How long what still runs may take in the end; no statement takes longer."""

log = structlog.get_logger()


@dataclass(eq=False, frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    answer: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Workers:
    """At most ``threads``; ``at_once`` of them do what has not taken long yet.

    Lives on one event loop, which starts threads as they are needed.
    """

    def __init__(self, threads: int, at_once: int) -> None:
        self._most, self._at_once = threads, min(at_once, threads)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._running: dict[_Job, float] = {}
        """What holds a turn, and since when, in this order."""
        self._threads: set[Thread] = set()
        self._numbers = count(1)
        self._turns = 0
        self._is_short = False
        """Whether the system gave no thread when one was last wanted; told once."""
        self._timer: asyncio.TimerHandle | None = None

    def run(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """What the work returns or raises, in time. What has begun is done to its end, even when
        nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._jobs.put(_Job(work, answer, loop))
        self._fill()
        if self._timer is None:
            self._timer = loop.call_later(LONG_SECONDS, self._look, loop)
        return answer

    def stop(self) -> None:
        """Ends the threads; what has begun is done first. Not to be called on the event loop."""
        until = monotonic() + LAST_SECONDS
        threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        # As it was in the beginning, for whoever runs something once more.
        self._jobs, self._turns, self._timer = SimpleQueue(), 0, None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives away the turns of what takes long, while anybody waits for one."""
        self._timer = None
        if self._jobs.empty():
            return
        self._threads = {each for each in self._threads if each.is_alive()}
        self._fill()
        long_ago = monotonic() - LONG_SECONDS
        for job, began in self._running.copy().items():
            if began > long_ago or len(self._threads) >= self._most:
                break
            # Unless it has ended meanwhile, and goes on with the next.
            if self._running.pop(job, None) is not None:
                self._turns -= 1
                self._fill()
        self._timer = loop.call_later(LONG_SECONDS, self._look, loop)

    def _fill(self) -> None:
        """Gives every turn a thread. Where the system has none, those that there are go on, and
        this is tried again soon."""
        while self._turns < self._at_once and len(self._threads) < self._most:
            name = f"handler-{next(self._numbers)}"
            # A program that ends without stopping us does not wait for what is idle.
            thread = Thread(target=self._work, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                if not self._is_short:
                    log.warning("no_thread", turns=self._turns, reason=error)
                self._is_short = True
                return
            self._is_short = False
            self._threads.add(thread)
            self._turns += 1

    def _work(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """Whether this thread goes on: it was not told to end, and its turn is still its own."""
        job = self._jobs.get()
        if job is None:
            return False
        if job.answer.cancelled():
            return True
        self._running[job] = monotonic()
        try:
            result = job.work()
        except BaseException as error:
            _tell(job, job.answer.set_exception, error)
        else:
            _tell(job, job.answer.set_result, result)
        return self._running.pop(job, None) is not None


def _tell(job: _Job, settle: Callable[[Any], None], outcome: Any) -> None:
    with suppress(RuntimeError):  # of a loop that has ended: nobody waits
        job.loop.call_soon_threadsafe(_settle, job.answer, settle, outcome)


def _settle(answer: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
    if not answer.done():
        settle(outcome)
