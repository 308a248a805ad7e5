"""The time."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)
