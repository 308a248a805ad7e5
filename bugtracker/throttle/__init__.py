"""Rate limits: sliding windows, shared through Redis where there is one, otherwise counted in this
process. docs/operations/rate-limits.md says what happens when Redis fails."""

import time
from typing import Protocol

from limits import RateLimitItem

from bugtracker.messages import Message, _
from bugtracker.throttle.windows import LocalCounter, Quota

__all__ = ["Headers", "Quota", "RateLimit", "Shared", "refusal_text"]


class Shared(Protocol):
    """Counts that many processes share: :class:`shared.SharedCounts`, whose module imports redis,
    and is imported where there is one only."""

    async def hit(self, limit: RateLimitItem, name: str, key: str) -> Quota | None:
        """Counts one request; None where Redis does not answer in time."""

    async def close(self) -> None:
        """Ends the connections."""


Headers = tuple[tuple[bytes, bytes], ...]


def refusal_text(rate: RateLimitItem, seconds: int) -> Message:
    """What somebody is told who has to wait for so many seconds."""
    return _(
        "At most {most} per {window} seconds; try again in {wait} s.",
        most=rate.amount,
        window=rate.get_expiry(),
        wait=seconds,
    )


class RateLimit:
    """One limit over many keys: shared when it can be, local otherwise, and never an error.

    ``name`` names the counters, and the policy in the headers.
    """

    def __init__(self, name: str, limit: RateLimitItem, shared: Shared | None) -> None:
        self.limit = limit
        self.name = name
        self._local = LocalCounter(limit)
        self._shared = shared
        self._policy = b'"%s"' % name.encode()
        self._limit_value = b"%d" % limit.amount
        self._policy_value = b"%s;q=%d;w=%d" % (self._policy, limit.amount, limit.get_expiry())

    async def hit(self, key: str) -> Quota:
        """Counts one request. Takes at most a third of a second, whatever Redis does."""
        if self._shared is not None:
            answer = await self._shared.hit(self.limit, self.name, key)
            if answer is not None:
                return answer
        return self._local.hit(key)

    def headers(self, answer: Quota) -> Headers:
        """The RateLimit headers, and the older trio, whose reset is a Unix time."""
        _allowed, remaining, reset, _wait = answer
        return (
            (b"ratelimit-policy", self._policy_value),
            (b"ratelimit", b"%s;r=%d;t=%d" % (self._policy, remaining, reset)),
            (b"x-ratelimit-limit", self._limit_value),
            (b"x-ratelimit-remaining", b"%d" % remaining),
            (b"x-ratelimit-reset", b"%d" % (time.time() + reset)),
        )
