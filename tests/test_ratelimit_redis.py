"""Limits shared through Redis, and what happens while it is dead, frozen or slow.

Invariant: every answer comes within a second, none is a 500, and nobody gets more than the limit
from Redis and once more from the process.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from bugtracker.runtime import Runtime
from bugtracker.throttle import shared
from bugtracker.throttle.shared import PAUSE_SECONDS
from tests.limiting import Clients, limited, some_address, stranger
from tests.parallel import at_once
from tests.redis_server import OwnRedis
from tests.relay import Relay
from tests.timing import within

NOTICED = 0.2
"""What an answer takes that waited for Redis; others only on a machine that is very busy."""
BUSY = 8


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with OwnRedis(tmp_path) as running:
        yield running


def timed(clients: Clients, times: int, address: str, **name: str) -> tuple[list[int], list[float]]:
    """Statuses and seconds of wrong logins in a row."""
    statuses, seconds = [], []
    for _ in range(times):
        begun = time.perf_counter()
        statuses.append(clients.log_in(address, **name).status_code)
        seconds.append(time.perf_counter() - begun)
    return statuses, seconds


class TestShared:
    @pytest.fixture(autouse=True)
    def patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a machine so busy that a good Redis seems frozen, servers would count apart."""
        monkeypatch.setattr(shared, "SOCKET_SECONDS", 10.0)
        monkeypatch.setattr(shared, "TOTAL_SECONDS", 10.0)

    def test_two_servers_count_together(self, runtime: Runtime, relay: Relay) -> None:
        address = some_address()
        with (
            limited(runtime, redis_url=relay.url, login="4/hour") as one,
            limited(runtime, redis_url=relay.url, login="4/hour") as other,
        ):
            statuses = one.statuses(2, address, **stranger())
            statuses += other.statuses(2, address, **stranger())
            assert statuses == [401] * 4
            assert one.statuses(1, address, **stranger()) == [429]
            assert other.statuses(1, address, **stranger()) == [429]

    def test_of_many_at_once_on_two_servers_no_more_than_allowed_are_evaluated(
        self, runtime: Runtime, redis: OwnRedis
    ) -> None:
        name = stranger()
        with (
            limited(runtime, redis_url=redis.url, login="5/hour") as one,
            limited(runtime, redis_url=redis.url, login="5/hour") as other,
        ):
            calls = [
                partial(clients.log_in, some_address(), **name) for clients in (one, other) * 20
            ]
            statuses = [response.status_code for response in at_once(calls)]
        assert (statuses.count(401), statuses.count(429)) == (5, 35)

    def test_is_also_found_at_a_socket(self, runtime: Runtime, redis: OwnRedis) -> None:
        with limited(runtime, redis_url=redis.socket_url) as clients:
            clients.log_in(some_address(), **stranger())
        assert any("bugtracker:login:" in key for key in _keys(redis))

    def test_no_name_stands_in_redis(self, runtime: Runtime, redis: OwnRedis) -> None:
        with limited(runtime, redis_url=redis.url) as clients:
            name = stranger()
            clients.log_in(some_address(), **name)
            clients.post("/api/auth/password/forgot", name, some_address())
        keys = _keys(redis)
        for limit in ("ip", "login", "account", "mail", "mailbox"):
            assert any(f"bugtracker:{limit}:" in key for key in keys)
        assert not any(name["email"] in key for key in keys)


class TestDead:
    def test_from_the_start_it_opens_no_door(self, runtime: Runtime, redis: OwnRedis) -> None:
        redis.stop()
        with limited(runtime, redis_url=redis.url, login="5/hour") as clients:
            statuses, seconds = timed(clients, 8, some_address(), **stranger())
        assert statuses == [401] * 5 + [429] * 3
        assert max(seconds) < within(1)

    def test_when_it_starts_it_is_used(self, runtime: Runtime, redis: OwnRedis) -> None:
        redis.stop()
        with limited(runtime, redis_url=redis.url, login="5/hour") as clients:
            assert clients.statuses(1) == [401]
            redis.start()
            _wait_until(lambda: bool(clients.statuses(1, some_address()) and _keys(redis)))

    def test_stopped_in_the_middle_it_opens_no_door_and_comes_back_by_itself(
        self, runtime: Runtime, redis: OwnRedis
    ) -> None:
        address, name = some_address(), stranger()
        with limited(runtime, redis_url=redis.url, login="5/hour") as clients:
            assert clients.statuses(6, address, **name) == [401] * 5 + [429]
            redis.stop()
            statuses, seconds = timed(clients, 8, address, **name)
            # Counted here from nothing: once more, and no more than that.
            assert statuses == [401] * 5 + [429] * 3
            assert max(seconds) < within(1)
            redis.start()
            _wait_until(lambda: bool(clients.statuses(1, some_address()) and _keys(redis)))


class TestFrozen:
    def test_sigstop_in_the_middle_delays_one_request_in_two_seconds(
        self, runtime: Runtime, redis: OwnRedis
    ) -> None:
        address, name = some_address(), stranger()
        with limited(runtime, redis_url=redis.url, login="30/hour") as clients:
            assert clients.statuses(2, address, **name) == [401, 401]
            redis.suspend()
            statuses, seconds = timed(clients, 40, address, **name)
            redis.resume()
            print(f"frozen: slowest {max(seconds):.3f} s, median {sorted(seconds)[20]:.4f} s")
            assert set(statuses) == {401, 429}
            assert max(seconds) < within(1)
            waited = [taken for taken in seconds if taken > NOTICED]
            assert len(waited) <= 1 + sum(seconds) / PAUSE_SECONDS + BUSY
            _wait_until(lambda: _counts_in(redis, clients))

    def test_everybody_at_once_is_answered_within_a_second(
        self, runtime: Runtime, redis: OwnRedis
    ) -> None:
        with limited(runtime, redis_url=redis.url, login="10/hour") as clients:
            # All connections stand before the freeze: what is measured is not connecting to us.
            at_once([lambda: clients.http.get("/healthz")] * 15)
            clients.statuses(1)
            redis.suspend()
            name, seconds = stranger(), []

            def call(address: str) -> httpx.Response:
                begun = time.perf_counter()
                response = clients.log_in(address, **name)
                seconds.append(time.perf_counter() - begun)
                return response

            answers = at_once([partial(call, some_address()) for _ in range(15)])
        statuses = [response.status_code for response in answers]
        print(f"frozen, 15 at once: slowest {max(seconds):.3f} s")
        assert (statuses.count(401), statuses.count(429)) == (10, 5)
        assert max(seconds) < within(1)


class TestSlow:
    @pytest.mark.parametrize("delay", [0.05, 0.15, 0.5])
    def test_every_answer_comes_within_a_second(
        self, runtime: Runtime, relay: Relay, delay: float
    ) -> None:
        address, name = some_address(), stranger()
        with limited(runtime, redis_url=relay.url, login="5/hour") as clients:
            assert clients.statuses(1, address, **name) == [401]
            relay.delay = delay
            statuses, seconds = timed(clients, 12, address, **name)
        print(f"slow by twice {delay} s: slowest {max(seconds):.3f} s")
        assert statuses[-1] == 429
        assert statuses.count(401) <= 4 + 5
        assert set(statuses) == {401, 429}
        assert max(seconds) < within(1)


def _keys(redis: OwnRedis) -> list[str]:
    with redis.client() as client:
        return [key.decode() for key in client.keys("*")]


def _counts_in(redis: OwnRedis, clients: Clients) -> bool:
    before = len(_keys(redis))
    clients.statuses(1, some_address(), **stranger())
    return len(_keys(redis)) > before


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "Redis is not used again"
        time.sleep(0.1)
