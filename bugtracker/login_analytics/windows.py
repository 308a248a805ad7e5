"""The times that analytics ask about."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bugtracker.clock import midnight

DAYS = {"7d": 7, "30d": 30}

INACTIVE = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
"""How long somebody who counts as inactive has not logged in."""


@dataclass(frozen=True)
class Window:
    """UTC days, ``first`` and ``last`` included."""

    name: str
    first: date
    last: date

    @classmethod
    def ending(cls, now: datetime, name: str) -> "Window":
        """So many days, the present one included."""
        today = now.astimezone(UTC).date()
        return cls(name, today - timedelta(days=DAYS[name] - 1), today)

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return midnight(self.first)

    @property
    def ends(self) -> datetime:
        """The first moment behind it."""
        return midnight(self.last + timedelta(days=1))
