"""Work of the database while Python prepares what comes next."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager


class Behind:
    """Does one thing at a time in a thread of its own.

    A session is not shared: who gave work that uses it calls :meth:`wait` before using it again.
    """

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._running: Future[None] | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Begins ``work`` as soon as what was given before is done, which may raise its error."""
        self.wait()
        self._running = self._thread.submit(work)

    def wait(self) -> None:
        """Returns when nothing runs any more; raises what went wrong."""
        running, self._running = self._running, None
        if running:
            running.result()


@contextmanager
def behind() -> Iterator[Behind]:
    """A thread for the block; leaving it, also by an error, waits until nothing runs."""
    with ThreadPoolExecutor(1, "import") as thread:
        yield Behind(thread)
