"""Reading the caller's sessions."""

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Session
from bugtracker.paging import Sorts, time_sort

SORTS = Sorts(
    by={"created_at": time_sort(Session.created_at)},
    identity=Session.id,
    default="-created_at",
)


def live(ctx: Context) -> Rows:
    """The caller's sessions that have not ended, in whatever organisation."""
    return select(
        Session.id,
        Session.user_agent,
        Session.ip,
        Session.created_at,
        Session.last_used_at,
        Session.expires_at,
    ).where(
        Session.account_id == ctx.user_id,
        Session.revoked_at.is_(None),
        Session.expires_at > ctx.now,
    )
