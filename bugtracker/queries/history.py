"""Reading what happened to an issue, from the events."""

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Event, Issue, Project
from bugtracker.paging import Sorts, time_sort
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.security.scoping import in_same_project, issue_named

SORTS = Sorts(
    by={"created_at": time_sort(Event.created_at)}, identity=Event.id, default="created_at"
)


def listed(ctx: Context, issue_ref: str) -> Rows:
    """The issue's own events with who did them."""
    issue = (
        select(Issue.id)
        .join(Project, in_same_project())
        .where(Issue.org_id == ctx.org_id, issue_named(issue_ref))
        .scalar_subquery()
    )
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
            Event.issue_id == issue,
            Event.resource_type == "issue",
        )
    )
