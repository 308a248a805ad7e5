"""Reading what happened to the caller's account."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Event
from bugtracker.paging import Sort, Sorts

# Ids are made in the order of time, and the index of an account's events ends with them.
SORTS = Sorts(by={"id": Sort(Event.id, decode=UUID, unique=True)}, identity=Event.id, default="-id")


def own(ctx: Context) -> Rows:
    """The events of the caller's account, in whatever organisation."""
    return select(Event.id, Event.action, Event.org_id, Event.changes, Event.created_at).where(
        Event.account_id == ctx.user_id
    )
