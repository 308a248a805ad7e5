"""What the database has of counted requests."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.models import RequestHour, RequestMinute
from bugtracker.runtime import Runtime

Totals = dict[str, tuple[int, int]]


def kept(runtime: Runtime, org_id: UUID) -> Totals:
    """Allowed and limited by operation; hours, which must be the sums of the minutes."""
    found = []
    # Of one moment: a server may write between one table and the other.
    with runtime.db.snapshot(org_id=org_id) as session:
        for table in (RequestHour, RequestMinute):
            totals: Totals = {}
            for row in session.scalars(select(table).where(table.org_id == org_id)):
                allowed, limited = totals.get(row.operation, (0, 0))
                totals[row.operation] = allowed + row.allowed, limited + row.limited
            found.append(totals)
    hours, minutes = found
    assert hours == minutes
    return hours
