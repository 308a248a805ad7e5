"""Counting in Redis, for as long as Redis answers in time.

The arithmetic and the scripts are those of the library `limits`; each of them costs one round trip
there, so both run as one script here.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import cast

import structlog
from limits import RateLimitItem
from limits.aio.storage.redis.bridge import RedisBridge
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bugtracker.metrics import redis_failures
from bugtracker.throttle.windows import Quota, Window, quota

logger = structlog.get_logger("bugtracker.throttle")

SOCKET_SECONDS = 0.2
TOTAL_SECONDS = 0.3
"""A request is counted three times at most, and must be answered within a second."""
PAUSE_SECONDS = 2.0
"""How long a Redis that failed is left alone, so that a frozen one delays few requests."""
LOG_EVERY_SECONDS = 60.0
CONNECTIONS = 4
"""Each can count thousands of requests a second. A crowd of requests would open more at once, and
opening costs so much more than counting that some would be late."""

# Both scripts of the library are bodies that end in a return, so they can become functions.
_HIT_SCRIPT = f"""
local function acquire(ARGV) {RedisBridge.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode()} end
local function window(ARGV) {RedisBridge.SCRIPT_SLIDING_WINDOW.decode()} end
local allowed = acquire(ARGV)
local counts = window({{ARGV[2]}})
return {{allowed and 1 or 0, counts[1] or 0, counts[2] or 0, counts[3] or 0, counts[4] or 0}}
"""


class SharedCounts:
    """All counters of a process that are kept in Redis, behind one circuit breaker.

    After a failure nothing is asked of Redis for `PAUSE_SECONDS`; then one request tries. So a
    Redis that is frozen or slow delays one request in two seconds, and comes back by itself.
    """

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=TOTAL_SECONDS,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            # The defaults of redis-py would retry for most of a minute.
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._script = self._redis.register_script(_HIT_SCRIPT)
        self._failing = False
        self._next_try = 0.0
        self._next_log = 0.0

    async def hit(self, limit: RateLimitItem, name: str, key: str) -> Quota | None:
        """Counts one request. None when Redis cannot: then this process must."""
        if not self._is_worth_a_try():
            return None
        try:
            answer = await self._hit(limit, name, key)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._note_failure(error)
            return None
        if self._failing:
            self._failing = False
            logger.info("rate_limit_redis_recovered")
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _hit(self, limit: RateLimitItem, name: str, key: str) -> Quota:
        expiry = limit.get_expiry()
        # The braces keep both keys on one node of a cluster. The window is part of the name,
        # because counts of another one would mean something else after a change of settings.
        current = f"bugtracker:{name}:{expiry}:{{{key}}}"
        async with asyncio.timeout(TOTAL_SECONDS):
            reply = await cast(
                Awaitable[list[int]],
                self._script(keys=[f"{current}/-1", current], args=[limit.amount, expiry, 1]),
            )
        allowed, *counts = map(int, reply)
        return quota(limit, _window(expiry, *counts), allowed=bool(allowed))

    def _is_worth_a_try(self) -> bool:
        if not self._failing:
            return True
        now = time.monotonic()
        if now < self._next_try:
            return False
        # One request tries; the others go on counting locally meanwhile.
        self._next_try = now + PAUSE_SECONDS
        return True

    def _note_failure(self, error: Exception) -> None:
        redis_failures.inc()
        now = time.monotonic()
        self._failing = True
        self._next_try = now + PAUSE_SECONDS
        if now >= self._next_log:
            self._next_log = now + LOG_EVERY_SECONDS
            logger.warning("rate_limit_redis_failed", error=type(error).__name__)


def _window(expiry: int, previous: int, previous_ms: int, current: int, current_ms: int) -> Window:
    """From counts and times to live; the current key lives one window longer than it counts."""
    current_left = max(0.0, current_ms / 1000 - expiry)
    return Window(previous, max(0, previous_ms) / 1000, current, current_left)
