"""Reading the record in the order of its numbers. What has no number yet is not there yet: an event
that is committed late gets a later number, and nobody has passed its place."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Event

COLUMNS = (
    Event.id.label("event_id"),
    Event.org_id,
    Event.number,
    Event.action,
    Event.actor_id,
    Event.resource_type,
    Event.resource_id,
    Event.resource_version,
    Event.project_id,
    Event.issue_id,
    Event.changes,
    Event.created_at,
)


def end(ctx: Context) -> Select[Any]:
    """The last number of the organisation; null without any."""
    return select(func.max(Event.number)).where(Event.org_id == ctx.org_id)


def first_since(ctx: Context, moment: datetime) -> Select[Any]:
    """The number of the first event from this moment on."""
    return (
        select(Event.number)
        .where(Event.org_id == ctx.org_id, Event.created_at >= moment, Event.number.is_not(None))
        .order_by(Event.created_at, Event.id)
        .limit(1)
    )


def between(ctx: Context, actions: Collection[str], after: int, until: int) -> Rows:
    """The events of these actions behind one number and up to another."""
    return (
        select(*COLUMNS)
        .where(
            Event.org_id == ctx.org_id,
            Event.number > after,
            Event.number <= until,
            Event.action.in_(actions),
        )
        .order_by(Event.number)
    )


def actions_behind(org_id: UUID, number: int, most: int) -> Rows:
    """What happened in an organisation behind a number: numbers and actions."""
    return (
        select(Event.number, Event.action)
        .where(Event.org_id == org_id, Event.number > number)
        .order_by(Event.number)
        .limit(most)
    )
