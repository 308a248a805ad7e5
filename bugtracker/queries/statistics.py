"""Statistics of a project: from its issues, and from what the record says of their statuses.

One statement, so one moment, with a row that has a JSON array for each part; none for a project
that is not there. What the record says of an issue becomes its *moves*: from when until when it
was in which status.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    ScalarSelect,
    Select,
    and_,
    case,
    cast,
    extract,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    union_all,
)

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Event, Issue, Project
from bugtracker.models.event import OF_STATUS
from bugtracker.periods import Days
from bugtracker.queries.people import PEOPLE
from bugtracker.security.named import project_named

MOST_ASSIGNEES = 10
KINDS = ("created", "closed", "reopened")
MEDIAN, NINTH_DECILE = 0.5, 0.9

_Number = ColumnElement[Any]


def of_project(ctx: Context, project_id: str, period: Days) -> Rows:
    """``counts``, ``assignees``, ``assigned``, ``changes``, ``stays`` and ``closings``: arrays of
    arrays, None where there is nothing. The functions below say what is in them."""
    project = project_named(ctx, project_id)
    in_project = and_(Issue.org_id == ctx.org_id, Issue.project_id == project)
    by_assignee = _by_assignee(in_project)
    moves = _moves(ctx, project, period.now)
    parts = {
        "counts": _counts(in_project),
        "assignees": _first_assignees(ctx, by_assignee),
        "assigned": _assigned(by_assignee),
        "changes": _changes(moves, period),
        "stays": _stays(moves, period),
        "closings": _closings(moves, period),
    }
    return select(*(_array(part).label(name) for name, part in parts.items())).where(
        Project.org_id == ctx.org_id, Project.id == project
    )


def _array(rows: Select[Any]) -> ScalarSelect[Any]:
    found = rows.subquery()
    return select(func.jsonb_agg(func.jsonb_build_array(*found.c))).scalar_subquery()


def _counts(in_project: ColumnElement[bool]) -> Rows:
    """Rank of status, rank of priority, number of issues."""
    return (
        select(Issue.status, Issue.priority, func.count())
        .where(in_project)
        .group_by(Issue.status, Issue.priority)
    )


def _by_assignee(in_project: ColumnElement[bool]) -> CTE:
    return (
        select(
            Issue.assignee_id,
            func.count().filter(Issue.status != "closed").label("open"),
            func.count().filter(Issue.status == "closed").label("closed"),
        )
        .where(in_project)
        .group_by(Issue.assignee_id)
        .cte("by_assignee")
    )


def _first_assignees(ctx: Context, counted: CTE) -> Rows:
    """Place, id, username, name, open, closed: most open ones first, an order without ties."""
    order = (
        counted.c.open.desc(),
        counted.c.closed.desc(),
        func.lower(PEOPLE.c.username),
        counted.c.assignee_id,
    )
    return (
        select(
            func.row_number().over(order_by=order).label("place"),
            counted.c.assignee_id,
            PEOPLE.c.username,
            PEOPLE.c.name,
            counted.c.open,
            counted.c.closed,
        )
        .join(
            PEOPLE,
            and_(PEOPLE.c.org_id == ctx.org_id, PEOPLE.c.user_id == counted.c.assignee_id),
        )
        .order_by(*order)
        .limit(MOST_ASSIGNEES)
    )


def _assigned(counted: CTE) -> Rows:
    """Whether assigned, number of people, open, closed."""
    assigned = counted.c.assignee_id.is_not(None)
    return select(
        assigned.label("assigned"),
        func.count(counted.c.assignee_id),
        func.sum(counted.c.open),
        func.sum(counted.c.closed),
    ).group_by(assigned)


def _entries(ctx: Context, project: UUID, now: datetime) -> CTE:
    """When each issue came into which status, by its version; all begin as open. An imported one
    that is closed became so when its source says, or else when it was imported."""
    created: Rows = select(
        Issue.id.label("issue_id"),
        literal_column("0").label("version"),
        literal_column("'open'").label("status"),
        Issue.created_at.label("at"),
    ).where(Issue.org_id == ctx.org_id, Issue.project_id == project, Issue.created_at <= now)
    closed_at = cast(Event.changes["closed_at"][1].astext, DateTime(timezone=True))
    at = func.coalesce(closed_at, Event.created_at)
    changed: Rows = select(
        Event.issue_id,
        Event.resource_version,
        Event.changes["status"][1].astext,
        at,
    ).where(Event.org_id == ctx.org_id, Event.project_id == project, text(OF_STATUS), at <= now)
    return union_all(created, changed).cte("entries")


def _moves(ctx: Context, project: UUID, now: datetime) -> CTE:
    """An issue's stays in a status: ``since``, ``ended`` (None: still), and of the issue when it
    was ``created``, and first ``started`` so far.

    A change that waited for another one may have begun before it: never back in time.
    """
    entries = _entries(ctx, project, now)
    issue, version = entries.c.issue_id, entries.c.version
    since = func.max(entries.c.at).over(partition_by=issue, order_by=version).label("since")
    stays = select(issue, version, entries.c.status, since).cte("stays")
    in_order: dict[str, Any] = {"partition_by": stays.c.issue_id, "order_by": stays.c.version}
    first = func.min(stays.c.since)
    return select(
        *stays.c,
        func.lead(stays.c.since).over(**in_order).label("ended"),
        first.over(partition_by=stays.c.issue_id).label("created"),
        first.filter(stays.c.status == "in_progress").over(**in_order).label("started"),
    ).cte("moves")


def _changes(moves: CTE, period: Days) -> Rows:
    """Number of the bucket (-1 for all before), and how many issues were created, closed and
    reopened in it."""
    is_closed = moves.c.status == "closed"
    moments = union_all(
        _each(moves.c.since, "created").where(moves.c.version == 0),
        _each(moves.c.since, "closed").where(is_closed),
        _each(moves.c.ended, "reopened").where(is_closed, moves.c.ended.is_not(None)),
    ).subquery("moments")
    day = cast(func.timezone("UTC", moments.c.at), Date)
    number = case(
        (moments.c.at < period.begins, -1),
        else_=(day - literal(period.first, Date)) // literal_column(str(period.days)),
    ).label("number")
    counts = [func.count().filter(moments.c.kind == kind) for kind in KINDS]
    return select(number, *counts).where(moments.c.at < period.ends).group_by(number)


def _each(at: ColumnElement[Any], kind: str) -> Rows:
    return select(at.label("at"), literal_column(f"'{kind}'").label("kind"))


def _stays(moves: CTE, period: Days) -> Rows:
    """Status, issues that were in it in the period, and their seconds there: sum, p50, p90."""
    until = func.least(moves.c.ended, period.ends)  # of null and a moment, the moment
    since = func.greatest(moves.c.since, period.begins)
    each = (
        select(moves.c.status, func.sum(extract("epoch", until - since)).label("seconds"))
        .where(until > since)
        .group_by(moves.c.issue_id, moves.c.status)
        .subquery("each")
    )
    seconds = each.c.seconds
    return select(
        each.c.status, func.count(), _whole(func.sum(seconds)), *_quantiles(seconds)
    ).group_by(each.c.status)


def _closings(moves: CTE, period: Days) -> Rows:
    """Of issues closed in the period and until its end: number, p50 and p90 of the lead time; the
    same of the cycle time, for those somebody began to work on."""
    lead = extract("epoch", moves.c.since - moves.c.created)
    cycle = extract("epoch", moves.c.since - moves.c.started)
    return select(
        func.count(), *_quantiles(lead), func.count(moves.c.started), *_quantiles(cycle)
    ).where(
        moves.c.status == "closed",
        moves.c.since >= period.begins,
        moves.c.since < period.ends,
        or_(moves.c.ended.is_(None), moves.c.ended >= period.ends),
    )


def _quantiles(seconds: _Number) -> tuple[_Number, _Number]:
    """The smallest value that so many are not above: one that was really measured."""
    median, ninth = (
        _whole(func.percentile_disc(share).within_group(seconds))
        for share in (MEDIAN, NINTH_DECILE)
    )
    return median, ninth


def _whole(seconds: _Number) -> _Number:
    return cast(func.floor(seconds), BigInteger)
