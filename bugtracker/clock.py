"""The time."""

from datetime import UTC, date, datetime, time


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)
