"""Counting logins by UTC day, and keeping their events for as long as it was asked for.

A day is always counted anew from all its events, by one SQL function that locks it, so it does
not matter how often, in what order or how late that happens.
"""

from datetime import UTC, date, datetime, timedelta

import structlog
from sqlalchemy import func, select

from bugtracker.clock import midnight, utc_now
from bugtracker.db import lift_timeouts
from bugtracker.login_analytics.recording import record_missing
from bugtracker.runtime import Runtime

MONTHS_AHEAD = 2
REPAIRED_DAYS = 3
"""How far back the night looks for logins whose job was lost."""

log = structlog.get_logger()


def roll_up(runtime: Runtime, day: date, *, again: bool = False) -> int:
    """Counts a day anew in every organisation that has it marked, or with ``again`` in each.

    Returns how many organisations; 0 for a day whose events were dropped, which stays as it is.
    """
    with runtime.db.transaction() as session:
        lift_timeouts(session)
        return session.scalar(select(func.roll_up_logins(day, again))) or 0


def roll_up_past(runtime: Runtime) -> int:
    """Counts all marked days that are over; returns how many."""
    marked = select(func.unrolled_login_days(utc_now().date()))
    with runtime.db.read() as connection:
        days = list(connection.scalars(marked))
    for day in days:
        roll_up(runtime, day)
    return len(days)


def kept_from(runtime: Runtime) -> date:
    """The first day whose events are kept: what was before is not counted again."""
    with runtime.db.read() as connection:
        moment: datetime = connection.execute(select(func.kept_logins_from())).scalar_one()
    return moment.astimezone(UTC).date()


def nightly(runtime: Runtime) -> None:
    """Makes partitions ahead, adds lost events, counts what is over, drops what is too old."""
    now = utc_now()
    make_partitions(runtime, now)
    added = record_missing(runtime, now - timedelta(days=REPAIRED_DAYS), now)
    days = roll_up_past(runtime)
    dropped = drop_old(runtime, now)
    log.info("logins_rolled_up", days=days, events_added=added, dropped=dropped)


def make_partitions(runtime: Runtime, now: datetime) -> None:
    """Makes those of this month and the next two. Events that find none make it themselves, but
    that waits for whoever reads."""
    with runtime.db.transaction() as session:
        for ahead in range(MONTHS_AHEAD + 1):
            session.execute(select(func.make_login_partition(midnight(_month(now, ahead)))))


def drop_old(runtime: Runtime, now: datetime) -> list[str]:
    """Drops the months before those that are kept beside this one, each in a transaction."""
    before = _month(now, -runtime.settings.login_event_months)
    dropped: list[str] = []
    while True:
        with runtime.db.transaction() as session:
            name = session.scalar(select(func.drop_login_partition(before)))
        if name is None:
            return dropped
        dropped.append(name)


def _month(now: datetime, offset: int) -> date:
    """The first day of the month so many months from now."""
    months = now.year * 12 + now.month - 1 + offset
    return date(months // 12, months % 12 + 1, 1)
