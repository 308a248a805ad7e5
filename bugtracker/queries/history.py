"""Reading what happened to an issue, from the events."""

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Event, Issue
from bugtracker.paging import Sort, Sorts
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.security.named import issue_named

# By version: of two changes at one moment, the one that waited for the other may have begun first.
SORTS = Sorts(
    by={"created_at": Sort(Event.resource_version)}, identity=Event.id, default="created_at"
)


def listed(ctx: Context, issue_ref: str) -> Rows:
    """The issue's own events with who did them."""
    issue = select(Issue.id).where(issue_named(ctx.org_id, issue_ref)).scalar_subquery()
    return (
        select(
            Event.id,
            Event.action,
            Event.changes,
            Event.resource_version.label("version"),
            Event.created_at,
            Event.actor_id,
            PEOPLE.c.username,
            PEOPLE.c.name,
        )
        .outerjoin(PEOPLE, is_person(Event.org_id, Event.actor_id))
        .where(
            Event.org_id == ctx.org_id,
            Event.resource_id == issue,
        )
    )
