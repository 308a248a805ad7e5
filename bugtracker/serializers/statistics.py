"""Statistics as the contract shows them, from counted rows."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

from bugtracker.models.issue import PRIORITIES, STATUSES
from bugtracker.periods import Days

Json = dict[str, Any]
Rows = Sequence[Sequence[Any]]


def of_project(row: Any, period: Days) -> Json:
    """``ProjectStatistics`` of the contract, from the row of ``queries.statistics``."""
    (closings,) = row.closings
    return {
        "interval": period.interval,
        "from": period.first,
        "to": period.last,
        "buckets": list(_buckets(row.changes or [], period)),
        "time_in_status": _stays(row.stays or []),
        "lead_time": _times(closings[:3]),
        "cycle_time": _times(closings[3:]),
        "by_status": _by_status(row.counts or []),
        "by_priority": _by_priority(row.counts or []),
        "by_assignee": _by_assignee(row.assignees or [], row.assigned or []),
    }


def _buckets(changes: Rows, period: Days) -> Iterator[Json]:
    """Each with how many issues were open and closed at its end."""
    by_number = {number: counts for number, *counts in changes}
    issues = closed = 0
    for number in range(-1, period.count):
        created, closings, reopened = by_number.get(number, (0, 0, 0))
        issues, closed = issues + created, closed + closings - reopened
        if number >= 0:
            begins = period.first + timedelta(days=number * period.days)
            yield {
                "from": begins,
                "to": min(period.last, begins + timedelta(days=period.days - 1)),
                "created": created,
                "closed": closings,
                "reopened": reopened,
                "open_at_end": issues - closed,
                "closed_at_end": closed,
            }


def _stays(stays: Rows) -> list[Json]:
    by_status = {status: rest for status, *rest in stays}
    nothing = (0, 0, None, None)
    names = ("issues", "total_seconds", "p50_seconds", "p90_seconds")
    return [
        {"status": status, **dict(zip(names, by_status.get(status, nothing), strict=True))}
        for status in STATUSES
    ]


def _times(times: Sequence[Any]) -> Json:
    return dict(zip(("issues", "p50_seconds", "p90_seconds"), times, strict=True))


def _by_status(counts: Rows) -> list[Json]:
    return [
        {"status": status, "issues": sum(n for s, _p, n in counts if s == rank)}
        for rank, status in enumerate(STATUSES)
    ]


def _by_priority(counts: Rows) -> list[Json]:
    closed = STATUSES.index("closed")
    return [
        {
            "priority": priority,
            "open": sum(n for s, p, n in counts if p == rank and s != closed),
            "closed": sum(n for s, p, n in counts if p == rank and s == closed),
        }
        for rank, priority in enumerate(PRIORITIES)
    ]


def _by_assignee(first: Rows, assigned: Rows) -> Json:
    shown = [
        {
            "user": {"id": user_id, "username": username, "name": name},
            "open": open_,
            "closed": closed,
        }
        for _place, user_id, username, name, open_, closed in sorted(first, key=itemgetter(0))
    ]
    totals = {is_assigned: counts for is_assigned, *counts in assigned}
    people, open_, closed = totals.get(True, (0, 0, 0))
    _nobody, unassigned, done = totals.get(False, (0, 0, 0))
    rest = {
        "people": people - len(shown),
        "open": open_ - sum(each["open"] for each in shown),
        "closed": closed - sum(each["closed"] for each in shown),
    }
    return {"items": shown, "rest": rest, "unassigned": {"open": unassigned, "closed": done}}
