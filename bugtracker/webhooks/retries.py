"""When a failed delivery is tried again, and when not any more."""

import random

MINUTE, HOUR = 60, 3600
PAUSES = (
    5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
"""Seconds behind each failed attempt, as Standard Webhooks proposes: ten attempts in three days."""
LONGEST = 24 * HOUR
JITTER = 0.2


def pause(failures: int, retry_after: float | None) -> float | None:
    """Seconds to wait behind the attempt that was the ``failures``-th to fail; None for ever.

    A receiver may ask for more (``Retry-After``), up to a day, and never for less.
    """
    if failures > len(PAUSES):
        return None
    usual = PAUSES[failures - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load
    return max(usual, min(retry_after or 0.0, LONGEST))
