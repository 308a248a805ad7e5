"""Counted requests as the contract shows them."""

from collections.abc import Sequence
from typing import Any

from bugtracker.periods import Moments

Json = dict[str, Any]


def rate_limits(rows: Sequence[Any], period: Moments) -> Json:
    """``RateLimitAnalytics`` of the contract; most limited operations first."""
    moments = {row.at: row for row in rows if row.at is not None}
    operations = [row for row in rows if row.at is None]
    operations.sort(key=lambda row: (-row.limited, -row.allowed, row.operation))
    return {
        "interval": period.interval,
        "from": period.begins,
        "to": period.ends,
        **_sums(operations),
        "operations": [{"operation": row.operation, **_counts(row)} for row in operations],
        "buckets": [{"from": at, **_counts(moments.get(at))} for at in period.buckets],
    }


def _sums(rows: Sequence[Any]) -> Json:
    return {name: sum(getattr(row, name) for row in rows) for name in ("allowed", "limited")}


def _counts(row: Any) -> Json:
    if row is None:
        return {"allowed": 0, "limited": 0}
    return {"allowed": row.allowed, "limited": row.limited}
