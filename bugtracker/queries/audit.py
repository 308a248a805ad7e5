"""Reading the record of what happened in an organisation."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, literal, or_, select, tuple_

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Event
from bugtracker.paging import Sorts, time_sort
from bugtracker.queries.issue_filters import PERSON
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.rsql import Field, Fields, filtered, kinds

COLUMNS = (
    Event.id,
    Event.number,
    Event.action,
    Event.actor_id,
    PEOPLE.c.username,
    PEOPLE.c.name,
    Event.resource_type,
    Event.resource_id,
    Event.resource_version,
    Event.project_id,
    Event.issue_id,
    Event.changes,
    Event.request_id,
    Event.api_key_id,
    Event.created_at,
)

FIELDS: Fields = {
    "number": Field(Event.number, kinds.Integer(), nullable=True),
    "action": Field(Event.action, kinds.Text()),
    "actor": Field(Event.actor_id, PERSON, nullable=True),
    "resource_type": Field(Event.resource_type, kinds.Text()),
    "resource_id": Field(Event.resource_id, kinds.Uuid()),
    "project_id": Field(Event.project_id, kinds.Uuid(), nullable=True),
    "issue_id": Field(Event.issue_id, kinds.Uuid(), nullable=True),
    "request_id": Field(Event.request_id, kinds.Text(), nullable=True),
    "created_at": Field(Event.created_at, kinds.Timestamp()),
}

# Not by number: the newest events have none for a second, and a list must not miss them.
SORTS = Sorts(
    by={"created_at": time_sort(Event.created_at)}, identity=Event.id, default="-created_at"
)


def listed(ctx: Context) -> Rows:
    """The organisation's events with who did them, by the filters of the list."""
    return (
        select(*COLUMNS)
        .outerjoin(PEOPLE, is_person(Event.org_id, Event.actor_id))
        .where(Event.org_id == ctx.org_id, *_conditions(ctx), *filtered(ctx, FIELDS))
    )


def _conditions(ctx: Context) -> list[ColumnElement[bool]]:
    """What the simple filters ask for; all of them must hold."""
    query = ctx.query
    found: list[ColumnElement[bool]] = []
    if query["action"]:
        found.append(or_(*map(_is_action, query["action"])))
    if query["actor"] is not None:
        found.append(Event.actor_id == _person(ctx, query["actor"]))
    if query["resource_type"] is not None:
        found.append(Event.resource_type == query["resource_type"])
    if query["resource_id"] is not None:
        found.append(Event.resource_id == UUID(query["resource_id"]))
    if query["created_after"] is not None:
        found.append(Event.created_at >= datetime.fromisoformat(query["created_after"]))
    if query["created_before"] is not None:
        found.append(Event.created_at < datetime.fromisoformat(query["created_before"]))
    return found


def _is_action(wanted: str) -> ColumnElement[bool]:
    """One action, or all that begin as ``issue.*`` does: a range, which an index can find."""
    if not wanted.endswith(".*"):
        return Event.action == wanted
    noun = wanted.removesuffix(".*")
    # The column is sorted by bytes, where "/" comes right behind ".".
    return and_(Event.action > f"{noun}.", Event.action < f"{noun}/")


def _person(ctx: Context, word: str) -> UUID:
    return ctx.user_id if word == "me" else UUID(word)


def behind(statement: Rows, last: tuple[datetime, UUID] | None, most: int) -> Rows:
    """The next ``most`` rows of a list that is read from the oldest to the newest."""
    if last is not None:
        here = tuple_(literal(last[0], Event.created_at.type), literal(last[1]))
        statement = statement.where(tuple_(Event.created_at, Event.id) > here)
    return statement.order_by(Event.created_at, Event.id).limit(most)
