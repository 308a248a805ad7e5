"""The limit of requests per client address or API key: a sliding window, shared through Redis
where there is one, otherwise counted in this process.

Two fixed windows approximate the sliding one: the present count, plus the previous one weighted by
how much of it the last `expiry` seconds still cover. The arithmetic and the Redis scripts are those
of the library `limits`; each of them costs one round trip there, so both run as one script here.
Its in-memory storage is not used: on every hit it starts a task that looks at all keys (1.7 ms a
request at 20,000 addresses), which a crowd of addresses could turn against us.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast

import structlog
from limits import RateLimitItem
from limits.aio.storage.redis.bridge import RedisBridge
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = structlog.get_logger("bugtracker.edge")

_SOCKET_SECONDS = 0.2
_TOTAL_SECONDS = 0.5
_PAUSE_SECONDS = 2.0
"""How long a Redis that failed is left alone, so that a frozen one delays few requests."""
_LOG_EVERY_SECONDS = 60.0

# Both scripts of the library are bodies that end in a return, so they can become functions.
_HIT_SCRIPT = f"""
local function acquire(ARGV) {RedisBridge.SCRIPT_ACQUIRE_SLIDING_WINDOW.decode()} end
local function window(ARGV) {RedisBridge.SCRIPT_SLIDING_WINDOW.decode()} end
local allowed = acquire(ARGV)
local counts = window({{ARGV[2]}})
return {{allowed and 1 or 0, counts[1] or 0, counts[2] or 0, counts[3] or 0, counts[4] or 0}}
"""


class Window(NamedTuple):
    """The counters of one address. Durations in seconds."""

    previous: int
    previous_left: float
    """How much of the previous window the sliding one still covers."""
    current: int
    current_left: float
    """How long the current window lasts."""


class Quota(NamedTuple):
    """The answer to one request."""

    allowed: bool
    remaining: int
    reset: int
    """Seconds until the current window ends."""
    retry_after: int
    """Seconds until a request would be allowed again; 0 when one is allowed now."""


def weighted(window: Window, expiry: int) -> int:
    """Requests in the sliding window, as the approximation has it."""
    return math.floor(window.previous * window.previous_left / expiry) + window.current


def quota(limit: RateLimitItem, window: Window, *, allowed: bool) -> Quota:
    """What a client is told about its window."""
    remaining = max(0, limit.amount - weighted(window, limit.get_expiry()))
    wait = 0.0 if remaining else _wait(limit, window)
    return Quota(allowed, remaining, math.ceil(window.current_left), math.ceil(wait))


def _wait(limit: RateLimitItem, window: Window) -> float:
    """Seconds until the weighted count falls below the limit."""
    free = limit.amount - window.current
    if free <= 0 or not window.previous:
        wait = window.current_left
    else:
        wait = window.previous_left - free * limit.get_expiry() / window.previous
    return max(wait, 0.0) + 0.001


class LocalCounter:
    """Counts in this process. Whole windows are forgotten at once, so expiry costs nothing."""

    def __init__(self, limit: RateLimitItem, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._expiry = limit.get_expiry()
        self._index = 0
        self._previous: dict[str, int] = {}
        self._current: dict[str, int] = {}

    def hit(self, key: str) -> Quota:
        """Count one request."""
        window = self._window(key)
        allowed = weighted(window, self._expiry) < self._limit.amount
        if allowed:
            window = window._replace(current=window.current + 1)
            self._current[key] = window.current
        return quota(self._limit, window, allowed=allowed)

    def _window(self, key: str) -> Window:
        index, elapsed = divmod(self._clock(), self._expiry)
        if index != self._index:
            self._previous = self._current if index == self._index + 1 else {}
            self._current = {}
            self._index = int(index)
        left = self._expiry - elapsed
        return Window(self._previous.get(key, 0), left, self._current.get(key, 0), left)


class SharedCounter:
    """Counts in Redis, in one round trip. Raises RedisError, OSError or TimeoutError."""

    def __init__(self, limit: RateLimitItem, url: str, name: str) -> None:
        self._limit = limit
        self._name = name
        self._expiry = limit.get_expiry()
        # The defaults of redis-py would retry for most of a minute.
        self._redis = Redis.from_url(
            url,
            socket_timeout=_SOCKET_SECONDS,
            socket_connect_timeout=_SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(_HIT_SCRIPT)

    async def hit(self, key: str) -> Quota:
        """Count one request."""
        # The braces keep both keys on one node of a cluster.
        current = f"bugtracker:{self._name}:{{{key}}}"
        async with asyncio.timeout(_TOTAL_SECONDS):
            reply = await cast(
                Awaitable[list[int]],
                self._script(
                    keys=[f"{current}/-1", current],
                    args=[self._limit.amount, self._expiry, 1],
                ),
            )
        allowed, *counts = map(int, reply)
        return quota(self._limit, self._window(*counts), allowed=bool(allowed))

    def _window(self, previous: int, previous_ms: int, current: int, current_ms: int) -> Window:
        """From counts and times to live; the current key lives one window longer than it counts."""
        current_left = max(0.0, current_ms / 1000 - self._expiry)
        return Window(previous, max(0, previous_ms) / 1000, current, current_left)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class RequestLimit:
    """The limit itself: shared when it can be, local otherwise, and never an error."""

    def __init__(self, limit: RateLimitItem, redis_url: str | None, name: str = "ip") -> None:
        self._local = LocalCounter(limit)
        self._shared = SharedCounter(limit, redis_url, name) if redis_url else None
        self._name = name.encode()
        self._failing = False
        self._next_try = 0.0
        self._next_log = 0.0
        self._limit_value = b"%d" % limit.amount
        self._policy_value = b'"%s";q=%d;w=%d' % (self._name, limit.amount, limit.get_expiry())

    async def hit(self, key: str) -> Quota:
        """Count one request. Takes at most half a second, whatever Redis does."""
        if self._shared is None or not self._is_worth_a_try():
            return self._local.hit(key)
        try:
            answer = await self._shared.hit(key)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._note_failure(error)
            return self._local.hit(key)
        if self._failing:
            self._failing = False
            logger.info("rate_limit_redis_recovered")
        return answer

    def headers(self, answer: Quota) -> tuple[tuple[bytes, bytes], ...]:
        """The RateLimit headers, and the older trio, whose reset is a Unix time."""
        _, remaining, reset, _ = answer
        return (
            (b"ratelimit-policy", self._policy_value),
            (b"ratelimit", b'"%s";r=%d;t=%d' % (self._name, remaining, reset)),
            (b"x-ratelimit-limit", self._limit_value),
            (b"x-ratelimit-remaining", b"%d" % remaining),
            (b"x-ratelimit-reset", b"%d" % (time.time() + reset)),
        )

    async def close(self) -> None:
        """Close what is open."""
        if self._shared is not None:
            await self._shared.close()

    def _is_worth_a_try(self) -> bool:
        if not self._failing:
            return True
        now = time.monotonic()
        if now < self._next_try:
            return False
        # One request tries; the others go on counting locally meanwhile.
        self._next_try = now + _PAUSE_SECONDS
        return True

    def _note_failure(self, error: Exception) -> None:
        now = time.monotonic()
        self._failing = True
        self._next_try = now + _PAUSE_SECONDS
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY_SECONDS
            logger.warning("rate_limit_redis_failed", error=type(error).__name__)
