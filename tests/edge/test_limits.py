"""The limit per client address, in memory and in Redis."""

import asyncio
import re
import socket
import statistics
import threading
import time
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import pytest
from limits import parse
from pydantic import SecretStr
from structlog.testing import capture_logs

from bugtracker.security.api_keys import KNOWN_SECONDS, MAX_KNOWN, RecentKeys, new_key
from bugtracker.throttle import RateLimit
from bugtracker.throttle.shared import SharedCounts
from bugtracker.throttle.windows import LocalCounter, Window, quota
from tests.relay import Relay
from tests.timing import within

from .serving import Answer, Served, serving


def statuses(server: Served, count: int, target: str = "/echo") -> list[int]:
    return [server.request(target).status for _ in range(count)]


def left(answer: Answer) -> int:
    """The r of a RateLimit header."""
    match = re.fullmatch(r'"ip";r=(\d+);t=(\d+)', answer.one("ratelimit"))
    assert match is not None
    assert 1 <= int(match[2]) <= 3600
    return int(match[1])


class TestLimit:
    def test_refuses_what_is_too_much(self) -> None:
        with serving(rate_limit_per_ip="3/hour") as server:
            assert statuses(server, 3) == [200, 200, 200]
            answer = server.request()
        assert (answer.status, answer.code) == (429, "rate_limit_exceeded")
        assert 1 <= int(answer.one("retry-after")) <= 3600
        assert left(answer) == 0

    def test_counts_requests_that_are_refused_later(self) -> None:
        with serving(rate_limit_per_ip="5/hour") as server:
            for target in ("//", "/%ff", "/boom", "/" + "a" * 9000):
                assert server.request(target).status in (400, 404, 414, 500)
            assert server.request(method="TRACE").status == 405
            assert statuses(server, 2) == [429, 429]

    def test_counts_requests_with_unclear_framing(self) -> None:
        framing = ("Content-Length: 2", "Transfer-Encoding: chunked")
        with serving(rate_limit_per_ip="1/hour", http_implementation="h11") as server:
            refused = server.request("/echo", *framing, method="POST", body=b"{}")
            assert refused.status == 400
            assert statuses(server, 1) == [429]

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
    def test_exempts_probes(self, path: str) -> None:
        with serving(rate_limit_per_ip="1/hour") as server:
            assert statuses(server, 5, path) == [200] * 5
            assert server.request(path).all("ratelimit") == []
            assert server.request().status == 200

    def test_headers_say_what_is_left(self) -> None:
        with serving(rate_limit_per_ip="100/hour") as server:
            before = time.time()
            first, second = server.request(), server.request("//")
        assert first.one("ratelimit-policy") == '"ip";q=100;w=3600'
        assert (left(first), left(second)) == (99, 98)
        assert first.one("x-ratelimit-limit") == "100"
        assert first.one("x-ratelimit-remaining") == "99"
        assert before <= int(first.one("x-ratelimit-reset")) <= time.time() + 3601

    def test_an_inner_limit_speaks_for_itself(self, served: Served) -> None:
        answer = served.request("/own-limit")
        assert answer.one("ratelimit") == '"login";r=4;t=60'
        assert answer.all("ratelimit-policy") == []
        assert answer.one("x-ratelimit-limit") == "100000"


class TestAddresses:
    def test_clients_behind_a_trusted_proxy_are_counted_apart(self) -> None:
        with serving(rate_limit_per_ip="1/hour", trusted_proxies="127.0.0.0/8") as server:
            for client in ("192.0.2.1", "192.0.2.2", "2001:db8:1:1::1", "2001:db8:1:2::1"):
                answer = server.request("/echo", f"X-Forwarded-For: {client}")
                assert answer.json()["state"]["client_ip"] == client
            for client in ("192.0.2.1", "2001:db8:1:1::2"):
                assert server.request("/echo", f"X-Forwarded-For: {client}").status == 429

    def test_nobody_else_can_choose_an_address(self) -> None:
        with serving(rate_limit_per_ip="1/hour", trusted_proxies="10.0.0.0/8") as server:
            first = server.request("/echo", "X-Forwarded-For: 192.0.2.1")
            assert first.json()["state"]["client_ip"] == "127.0.0.1"
            assert server.request("/echo", "X-Forwarded-For: 192.0.2.2").status == 429


class TestSlidingWindow:
    """A limit of 10 per minute under a clock we set."""

    def make(self) -> LocalCounter:
        self.now = 600.0
        return LocalCounter(parse("10/minute"), lambda: self.now)

    def test_the_previous_window_fades_out(self) -> None:
        counter = self.make()
        assert [counter.hit("a").allowed for _ in range(11)] == [True] * 10 + [False]
        self.now += 60 + 30  # half of the previous window still counts
        assert [counter.hit("a").allowed for _ in range(6)] == [True] * 5 + [False]

    def test_is_forgotten_after_two_windows(self) -> None:
        counter = self.make()
        counter.hit("a")
        self.now += 120
        assert counter.hit("a").remaining == 9

    @pytest.mark.parametrize("pause", [0, 7, 61, 75, 100, 119])
    def test_waiting_as_told_is_enough_and_not_too_long(self, pause: float) -> None:
        counter = self.make()
        for _ in range(10):
            counter.hit("a")
        self.now += pause
        while (refused := counter.hit("a")).allowed:
            pass
        told = refused.retry_after
        self.now += told - 1.01
        assert not counter.hit("a").allowed
        self.now += 1.01
        assert counter.hit("a").allowed

    def test_addresses_do_not_share(self) -> None:
        counter = self.make()
        for _ in range(11):
            counter.hit("a")
        assert counter.hit("b").remaining == 9

    def test_a_crowd_of_addresses_costs_nobody_time(self) -> None:
        counter = self.make()
        for number in range(50_000):
            counter.hit(str(number))
        begun = time.thread_time()
        for _ in range(1000):
            counter.hit("a")
        assert time.thread_time() - begun < 0.1

    def test_tells_no_wait_while_something_is_left(self) -> None:
        answer = quota(parse("10/minute"), Window(0, 0.0, 9, 60.0), allowed=True)
        assert (answer.remaining, answer.retry_after) == (1, 0)


class TestRedis:
    def test_servers_share_one_count(self, relay: Relay) -> None:
        forwarded = f"X-Forwarded-For: {_fresh_address()}"
        given: dict[str, Any] = {
            "rate_limit_per_ip": "4/hour",
            "redis_url": SecretStr(relay.url),
            "trusted_proxies": "127.0.0.1",
        }
        with serving(**given) as one, serving(**given) as two:
            answers = [s.request("/echo", forwarded) for s in (one, two, one, two, one, two)]
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 2
        assert [left(answer) for answer in answers] == [3, 2, 1, 0, 0, 0]
        assert answers[0].one("ratelimit").endswith(";t=3600")
        assert 3590 <= int(answers[-1].one("retry-after")) <= 3601

    def test_parallel_requests_are_all_counted(self, relay: Relay) -> None:
        forwarded = f"X-Forwarded-For: {_fresh_address()}"
        found: list[int] = []
        with serving(
            rate_limit_per_ip="15/hour",
            redis_url=SecretStr(relay.url),
            trusted_proxies="127.0.0.1",
        ) as server:

            def call() -> None:
                found.extend(server.request("/echo", forwarded).status for _ in range(5))

            threads = [threading.Thread(target=call) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert (found.count(200), found.count(429)) == (15, 25)

    def test_when_it_is_down_this_process_counts(self) -> None:
        with serving(rate_limit_per_ip="3/hour", redis_url=SecretStr(_dead_url())) as server:
            begun = time.perf_counter()
            assert statuses(server, 4) == [200, 200, 200, 429]
        assert time.perf_counter() - begun < within(1)

    def test_when_it_freezes_nobody_waits_long_and_later_it_is_used_again(
        self, relay: Relay
    ) -> None:
        with serving(rate_limit_per_ip="100/hour", redis_url=SecretStr(relay.url)) as server:
            shared = left(server.request())
            relay.freeze()
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                answer = server.request()
                times.append(time.perf_counter() - begun)
                assert answer.status == 200
            assert left(answer) == 95  # five, counted here from the start
            assert max(times) < within(1)
            assert statistics.median(times) < 0.1  # only the first one met the frozen Redis
            relay.thaw()
            time.sleep(2.1)
            assert left(server.request()) < shared

    async def _fail_often(self, url: str) -> list[str]:
        shared = SharedCounts(url)
        limit = RateLimit("ip", parse("100/hour"), shared)
        with capture_logs() as logs:
            for _ in range(20):
                shared._next_try = 0.0
                assert (await limit.hit("a")).allowed
        await shared.close()
        return [entry["event"] for entry in logs]

    def test_its_failure_is_logged_once_a_minute(self) -> None:
        assert asyncio.run(self._fail_often(_dead_url())) == ["rate_limit_redis_failed"]


def _dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def _fresh_address() -> str:
    """A client no other test or run has used: the counts outlive this process."""
    text = f"{time.time_ns():016x}"
    return "2001:db8:" + ":".join(text[i : i + 4] for i in (4, 8)) + "::1"


class TestKeys:
    """Requests with API keys, of which only those seen working count by themselves."""

    KEY = new_key()
    HEADER = f"Authorization: Bearer {KEY.secret}"

    def serving(self, recent: RecentKeys) -> AbstractContextManager[Served]:
        limits = {"rate_limit_per_ip": "2/hour", "rate_limit_api_key": "3/hour"}
        return serving(recent_keys=recent, **limits)

    def test_that_work_have_a_limit_of_their_own(self) -> None:
        recent = RecentKeys()
        recent.remember(self.KEY.hash, uuid4())
        with self.serving(recent) as server:
            answers = [server.request("/echo", self.HEADER) for _ in range(4)]
            assert [answer.status for answer in answers] == [200, 200, 200, 429]
            assert answers[0].one("ratelimit-policy") == '"api_key";q=3;w=3600'
            assert answers[3].one("ratelimit").startswith('"api_key";r=0;')
            assert statuses(server, 3) == [200, 200, 429]

    def test_of_one_person_share_it(self) -> None:
        recent, keys, person = RecentKeys(), [new_key() for _ in range(4)], uuid4()
        for key in keys:
            recent.remember(key.hash, person)
        with self.serving(recent) as server:
            headers = [f"Authorization: Bearer {key.secret}" for key in keys]
            assert [server.request("/echo", h).status for h in headers] == [200, 200, 200, 429]

    def test_that_nobody_knows_count_by_their_address(self) -> None:
        with self.serving(RecentKeys()) as server:
            headers = [f"Authorization: Bearer {new_key().secret}" for _ in range(3)]
            assert [server.request("/echo", h).status for h in headers] == [200, 200, 429]

    def test_that_stopped_working_count_by_their_address(self) -> None:
        recent = RecentKeys()
        recent.remember(self.KEY.hash, uuid4())
        recent.forget(self.KEY.hash)
        with self.serving(recent) as server:
            assert server.request("/echo", self.HEADER).one("ratelimit").startswith('"ip"')

    @pytest.mark.parametrize("odd", [b"", b"Bearer", b"Bearer \xff", b"Basic eA==", b"bt_"])
    def test_odd_headers_name_no_key(self, odd: bytes) -> None:
        assert RecentKeys().find(odd) is None
        assert RecentKeys().find(None) is None

    def test_only_a_bearer_brings_a_key(self) -> None:
        recent = RecentKeys()
        recent.remember(self.KEY.hash, uuid4())
        assert recent.find(b"Digest " + self.KEY.secret.encode()) is None

    def test_are_forgotten_after_a_while_and_when_there_are_too_many(self) -> None:
        now, key_id = 0.0, uuid4()
        recent = RecentKeys(lambda: now)
        header = b"bearer  " + self.KEY.secret.encode()
        recent.remember(self.KEY.hash, key_id)
        assert recent.find(header) == key_id
        now = KNOWN_SECONDS + 1
        assert recent.find(header) is None
        recent.remember(self.KEY.hash, key_id)
        for number in range(MAX_KNOWN):
            recent.remember(number.to_bytes(32), key_id)
        assert recent.find(header) is None
