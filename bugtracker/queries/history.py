"""Reading what happened to an issue, from the events."""

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import given
from bugtracker.models import Event, Issue
from bugtracker.paging import Page, Sort, Sorts, paginate
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.security.named import OfIssue

# By version: of two changes at one moment, the one that waited for the other may have begun first.
SORTS = Sorts(
    by={"created_at": Sort(Event.resource_version)}, identity=Event.id, default="created_at"
)


COLUMNS = (
    Event.id,
    Event.action,
    Event.changes,
    Event.resource_version.label("version"),
    Event.created_at,
    Event.actor_id,
    PEOPLE.c.username,
    PEOPLE.c.name,
)

OF_ISSUE = OfIssue(
    lambda is_named: (
        select(*COLUMNS)
        .outerjoin(PEOPLE, is_person(Event.org_id, Event.actor_id))
        .where(
            Event.org_id == given(Event.org_id),
            Event.resource_id == select(Issue.id).where(is_named).scalar_subquery(),
        )
    )
)


def page(ctx: Context, issue_ref: str) -> Page:
    """One page of the issue's own events, with who did them."""
    statement, values = OF_ISSUE.named(ctx.org_id, issue_ref)
    return paginate(ctx, statement, SORTS, **values)
