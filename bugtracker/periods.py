"""The times that statistics ask about, cut into buckets: days and weeks, minutes and hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bugtracker.clock import midnight
from bugtracker.errors import RequestInvalid, Violation
from bugtracker.messages import Message, _

DAYS = {"day": 1, "week": 7}
USUAL_DAYS = 30
MOST_DAYS = 400
"""Most buckets of days or weeks."""

LENGTHS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
USUAL = {"minute": timedelta(hours=1), "hour": timedelta(days=1)}
MOST = {"minute": timedelta(hours=24), "hour": timedelta(days=90)}
"""As long as the counts are kept."""


@dataclass(frozen=True)
class Days:
    """UTC days, ``first`` and ``last`` included, in buckets of a day or of a week from Monday."""

    interval: str
    first: date
    last: date
    now: datetime

    @classmethod
    def asked(cls, query: Mapping[str, Any], now: datetime) -> "Days":
        """From ``from``, ``to`` (never after today) and ``interval``; 400 for none or too many."""
        today = now.astimezone(UTC).date()
        last = min(today, _date(query["to"]) or today)
        first = _date(query["from"]) or last - timedelta(days=USUAL_DAYS - 1)
        if first > last:
            raise _refusal(_("must not be after to, nor in the future"))
        if query["interval"] == "week":
            first -= timedelta(days=first.weekday())
        period = cls(query["interval"], first, last, now)
        if period.count > MOST_DAYS:
            raise _refusal(_too_long(MOST_DAYS))
        return period

    @property
    def days(self) -> int:
        """Days of a bucket."""
        return DAYS[self.interval]

    @property
    def count(self) -> int:
        """How many buckets there are; the last one may be incomplete."""
        return ((self.last - self.first).days + self.days) // self.days

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return midnight(self.first)

    @property
    def ends(self) -> datetime:
        """The first moment behind it, or now."""
        return min(self.now, midnight(self.last + timedelta(days=1)))


@dataclass(frozen=True)
class Moments:
    """Whole minutes or hours from ``begins`` until before ``ends``."""

    interval: str
    begins: datetime
    ends: datetime

    @classmethod
    def asked(cls, query: Mapping[str, Any], now: datetime) -> "Moments":
        """From ``from``, ``to`` and ``interval``, made whole; 400 for none or too many."""
        length = LENGTHS[query["interval"]]
        ends = _up(min(now, _moment(query["to"]) or now), length)
        begins = _moment(query["from"])
        begins = ends - USUAL[query["interval"]] if begins is None else _down(begins, length)
        if begins >= ends:
            raise _refusal(_("must be before to, and not in the future"))
        period = cls(query["interval"], begins, ends)
        if ends - begins > MOST[query["interval"]]:
            raise _refusal(_too_long(period.most))
        return period

    @property
    def most(self) -> int:
        """Most buckets."""
        return MOST[self.interval] // LENGTHS[self.interval]

    @property
    def buckets(self) -> list[datetime]:
        """When each begins."""
        length = LENGTHS[self.interval]
        return [self.begins + n * length for n in range((self.ends - self.begins) // length)]


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _down(moment: datetime, length: timedelta) -> datetime:
    return moment - (moment - midnight(moment.date())) % length


def _up(moment: datetime, length: timedelta) -> datetime:
    return _down(moment + length - timedelta(microseconds=1), length)


def _too_long(most: int) -> Message:
    return _("must not be more than {most} intervals before to", most=most)


def _refusal(detail: Message) -> RequestInvalid:
    return RequestInvalid(
        _("The request does not match the contract; see errors."),
        errors=[Violation("period", detail, parameter="from")],
    )
