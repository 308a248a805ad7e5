"""Limits that operations declare, counted in memory and in Redis."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from pydantic import SecretStr

from bugtracker.app import create_app
from bugtracker.runtime import Runtime
from tests.relay import Relay
from tests.serving import serve

WRONG = {"email": "nobody@example.com", "password": "wrong"}


@contextmanager
def limited(runtime: Runtime, limit: str, redis_url: str | None = None) -> Iterator[httpx.Client]:
    """A server of its own whose logins are limited."""
    update = {
        "rate_limit_login": limit,
        "redis_url": SecretStr(redis_url) if redis_url else None,
    }
    settings = runtime.settings.model_copy(update=update)
    changed = Runtime(**{**vars(runtime), "settings": settings})
    with serve(create_app(changed)) as server, httpx.Client(base_url=server.url) as client:
        yield client


def log_in(client: httpx.Client, *, times: int) -> list[int]:
    """Statuses of so many wrong logins in a row."""
    return [client.post("/api/auth/login", json=WRONG).status_code for _ in range(times)]


class TestLoginLimit:
    def test_more_logins_than_allowed_are_refused_until_the_window_has_passed(
        self, runtime: Runtime
    ) -> None:
        with limited(runtime, "3/hour") as client:
            assert log_in(client, times=5) == [401, 401, 401, 429, 429]

    def test_the_refusal_says_what_the_limit_is_and_when_to_come_back(
        self, runtime: Runtime
    ) -> None:
        with limited(runtime, "1/hour") as client:
            log_in(client, times=1)
            refused = client.post("/api/auth/login", json=WRONG)
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "rate_limit_exceeded"
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["ratelimit-policy"] == '"login";q=1;w=3600'
        assert refused.headers["ratelimit"].startswith('"login";r=0;t=')
        assert refused.headers["x-ratelimit-limit"] == "1"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["strict-transport-security"]

    def test_other_operations_are_not_limited_by_it(self, runtime: Runtime) -> None:
        with limited(runtime, "1/hour") as client:
            log_in(client, times=2)
            assert client.post("/api/auth/refresh", json={"refresh_token": "x"}).status_code == 401

    def test_a_request_that_breaks_the_contract_is_told_so(self, runtime: Runtime) -> None:
        with limited(runtime, "1/hour") as client:
            log_in(client, times=2)
            assert client.post("/api/auth/login", json={}).status_code == 400


class TestSharedThroughRedis:
    def test_two_servers_count_together(self, runtime: Runtime, relay: Relay) -> None:
        with (
            limited(runtime, "4/hour", relay.url) as one,
            limited(runtime, "4/hour", relay.url) as other,
        ):
            statuses = log_in(one, times=2) + log_in(other, times=2)
            assert statuses == [401] * 4
            assert log_in(one, times=1) + log_in(other, times=1) == [429, 429]

    def test_a_frozen_redis_is_replaced_by_counting_here_within_a_second(
        self, runtime: Runtime, relay: Relay
    ) -> None:
        with limited(runtime, "7/hour", relay.url) as client:
            log_in(client, times=1)
            relay.freeze()
            begun = time.monotonic()
            assert log_in(client, times=1) == [401]
            waited = time.monotonic() - begun
            assert log_in(client, times=20)[-1] == 429
            relay.thaw()
        assert waited < 1.0

    def test_a_dead_redis_opens_no_door(self, runtime: Runtime) -> None:
        with limited(runtime, "5/hour", "redis://127.0.0.1:1/0") as client:
            statuses = log_in(client, times=8)
        assert statuses[-1] == 429
        assert set(statuses) == {401, 429}
