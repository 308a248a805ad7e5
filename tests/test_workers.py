"""Threads that do what the event loop must not: few at a time, but nobody waits for the slow."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bugtracker import workers
from bugtracker.workers import Workers
from tests.jobs.running import eventually

NEVER = 60.0
"""Seconds that nothing here takes."""


class Crowd:
    """Work that tells how many did it at once, and takes as long as it is told to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0
        self.go = threading.Event()

    def step(self) -> None:
        """Takes until told to go."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.go.wait(10)
        with self._lock:
            self.now -= 1


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.go.set()


def all_of(group: Workers, works: list[Callable[[], object]]) -> list[object]:
    """What all return, asked for at the same time."""

    async def scene() -> list[object]:
        async with asyncio.timeout(20):
            return await asyncio.gather(*map(group.run, works), return_exceptions=True)

    return asyncio.run(scene())


def own_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    return {each for each in set(threading.enumerate()) - before if "handler" in each.name}


class TestWork:
    def test_gives_back_what_it_returned_or_raised(self) -> None:
        def fail() -> None:
            raise LookupError("nothing there")

        returned, raised = all_of(Workers(2, 2), [lambda: 7, fail])
        assert returned == 7
        assert isinstance(raised, LookupError)

    def test_is_begun_in_the_order_in_which_it_was_asked_for(self) -> None:
        begun: list[int] = []
        all_of(Workers(4, 1), [lambda n=n: begun.append(n) for n in range(50)])  # type: ignore[misc]
        assert begun == list(range(50))

    def test_is_done_also_when_nobody_waits_for_it_any_more(self, crowd: Crowd) -> None:
        async def scene() -> None:
            group = Workers(1, 1)
            waiting = group.run(crowd.step)
            await asyncio.to_thread(eventually, lambda: crowd.now == 1)
            waiting.cancel()
            crowd.go.set()
            # The one thread has survived telling nobody.
            assert await group.run(lambda: crowd.now) == 0

        asyncio.run(scene())

    def test_that_nobody_waits_for_any_more_is_not_begun(self, crowd: Crowd) -> None:
        begun: list[int] = []

        async def scene() -> None:
            group = Workers(1, 1)
            first = group.run(crowd.step)
            group.run(lambda: begun.append(1)).cancel()
            last = group.run(lambda: begun.append(2))
            crowd.go.set()
            await asyncio.gather(first, last)

        asyncio.run(scene())
        assert begun == [2]

    def test_outlives_the_event_loop(self, crowd: Crowd) -> None:
        group = Workers(1, 1)

        async def scene() -> None:
            group.run(crowd.step)
            await asyncio.to_thread(eventually, lambda: crowd.now == 1)

        asyncio.run(scene())
        crowd.go.set()
        assert all_of(group, [lambda: 7]) == [7]


class TestTurns:
    def test_no_more_are_busy_than_have_a_turn(
        self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workers, "LONG_SECONDS", NEVER)

        async def scene() -> None:
            group = Workers(8, 2)
            steps = [group.run(crowd.step) for _ in range(20)]
            await asyncio.to_thread(eventually, lambda: crowd.now == 2)
            await asyncio.sleep(0.05)
            assert crowd.now == 2
            crowd.go.set()
            await asyncio.gather(*steps)

        asyncio.run(scene())
        assert crowd.most == 2

    def test_what_takes_long_gives_its_turn_to_the_next(self, crowd: Crowd) -> None:
        async def scene() -> None:
            group = Workers(4, 1)
            slow = [group.run(crowd.step) for _ in range(3)]
            async with asyncio.timeout(10):
                assert await group.run(lambda: 7) == 7
            assert crowd.now == 3
            crowd.go.set()
            await asyncio.gather(*slow)

        asyncio.run(scene())

    def test_there_are_never_more_threads_than_allowed(self, crowd: Crowd) -> None:
        async def scene() -> None:
            group = Workers(3, 1)
            slow = [group.run(crowd.step) for _ in range(9)]
            await asyncio.to_thread(eventually, lambda: crowd.now == 3)
            await asyncio.sleep(0.05)
            crowd.go.set()
            await asyncio.gather(*slow)

        asyncio.run(scene())
        assert crowd.most == 3

    def test_threads_that_lost_their_turn_end(self, crowd: Crowd) -> None:
        before = set(threading.enumerate())

        async def scene() -> None:
            group = Workers(6, 1)
            slow = [group.run(crowd.step) for _ in range(5)]
            await group.run(lambda: None)
            crowd.go.set()
            await asyncio.gather(*slow)
            await asyncio.to_thread(eventually, lambda: len(own_threads(before)) == 1)
            assert await group.run(lambda: 7) == 7

        asyncio.run(scene())


class NoThread:
    """Stands for a thread that the system does not give."""

    def __init__(self, **_: object) -> None:
        """As a thread is made."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


class TestNoThreads:
    def test_those_that_there_are_go_on(
        self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scene() -> None:
            group = Workers(4, 2)
            slow = group.run(crowd.step)
            await asyncio.to_thread(eventually, lambda: crowd.now == 1)
            with monkeypatch.context() as without:
                without.setattr(workers, "Thread", NoThread)
                assert [await group.run(lambda: 7) for _ in range(5)] == [7] * 5
            crowd.go.set()
            await slow

        asyncio.run(scene())

    def test_what_waits_is_done_as_soon_as_there_is_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scene() -> None:
            group = Workers(2, 1)
            with monkeypatch.context() as without:
                without.setattr(workers, "Thread", NoThread)
                waiting = group.run(lambda: 7)
                await asyncio.sleep(0.05)
                assert not waiting.done()
            async with asyncio.timeout(10):
                assert await waiting == 7

        asyncio.run(scene())


class TestStop:
    def test_waits_for_what_runs_and_ends_all_threads(self, crowd: Crowd) -> None:
        before = set(threading.enumerate())

        async def scene() -> None:
            group = Workers(4, 2)
            steps = [group.run(crowd.step) for _ in range(2)]
            await asyncio.to_thread(eventually, lambda: crowd.now == 2)
            stopping = asyncio.create_task(asyncio.to_thread(group.stop))
            await asyncio.sleep(0.05)
            assert not stopping.done()
            crowd.go.set()
            await asyncio.gather(stopping, *steps)

        asyncio.run(scene())
        assert own_threads(before) == set()

    def test_is_not_the_end_for_ever(self) -> None:
        async def scene() -> list[object]:
            group = Workers(3, 2)
            before = await asyncio.gather(*(group.run(lambda: 1) for _ in range(9)))
            await asyncio.to_thread(group.stop)
            async with asyncio.timeout(10):
                return [*before, await group.run(lambda: 2)]

        assert asyncio.run(scene()) == [1] * 9 + [2]

    def test_does_not_wait_for_ever(self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workers, "LAST_SECONDS", 0.05)

        async def scene() -> None:
            group = Workers(1, 1)
            group.run(crowd.step)
            await asyncio.to_thread(eventually, lambda: crowd.now == 1)
            begun = time.monotonic()
            await asyncio.to_thread(group.stop)
            assert time.monotonic() - begun < 5
            crowd.go.set()

        asyncio.run(scene())
