"""The arithmetic of a sliding window, and its counting in this process.

Two fixed windows approximate the sliding one: the present count, plus the previous one weighted by
how much of it the last `expiry` seconds still cover. That is how the library `limits` does it. Its
in-memory storage is not used: on every hit it starts a task that looks at all keys (1.7 ms a
request at 20,000 addresses), which a crowd of addresses could turn against us.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from limits import RateLimitItem


class Window(NamedTuple):
    """The counters of one key. Durations in seconds."""

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
    """Counts in this process. Whole windows are forgotten at once, so expiry costs nothing.

    For the event loop only: not safe between threads.
    """

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
