"""Work of the database while Python prepares what comes next."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

_MOST_WAITING = 2
"""What is given and not done: more would only take memory."""


class Behind:
    """Does one thing after another in a thread of its own, so that the database never waits for the
    next.

    A session is not shared: who gave work that uses it calls :meth:`wait` before using it again.
    """

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._given: deque[Future[object]] = deque()

    def run(self, work: Callable[[], object]) -> None:
        """Has ``work`` done after what was given before, which may raise its error here."""
        self._wait_until_left(_MOST_WAITING - 1)
        self._given.append(self._thread.submit(work))

    def wait(self) -> None:
        """Returns when nothing runs any more; raises what went wrong."""
        self._wait_until_left(0)

    def _wait_until_left(self, works: int) -> None:
        while len(self._given) > works:
            self._given.popleft().result()


@contextmanager
def behind() -> Iterator[Behind]:
    """A thread for the block; leaving it, also by an error, waits until nothing runs."""
    with ThreadPoolExecutor(1, "import") as thread:
        yield Behind(thread)
