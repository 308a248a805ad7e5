"""Reading issues: one statement that selects the columns of the answer."""

from typing import Any
from uuid import UUID

from sqlalchemy import Integer, column, func, select
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Issue, Project
from bugtracker.paging import Sort, Sorts, date_sort, time_sort
from bugtracker.queries.issue_filters import FIELDS
from bugtracker.rsql import filtered
from bugtracker.security.scoping import in_same_project, issue_named

COLUMNS = (
    Issue.id,
    Project.key.label("project_key"),
    Issue.number,
    Issue.project_id,
    Issue.title,
    Issue.description,
    Issue.status,
    Issue.priority,
    Issue.reporter_id,
    Issue.assignee_id,
    Issue.due_date,
    Issue.created_at,
    Issue.updated_at,
    Issue.version,
)

SORTS = Sorts(
    by={
        "created_at": time_sort(Issue.created_at),
        "updated_at": time_sort(Issue.updated_at),
        "priority": Sort(Issue.priority),
        "status": Sort(Issue.status),
        "due_date": date_sort(Issue.due_date),
        "number": Sort(Issue.number, unique=True),
    },
    identity=Issue.id,
    default="-created_at",
)


def one(ctx: Context, ref: str) -> Rows:
    """The issue of this id or key in the caller's organisation."""
    return _all(ctx).where(issue_named(ctx, ref))


def _all(ctx: Context) -> Rows:
    return select(*COLUMNS).join(Project, in_same_project()).where(Issue.org_id == ctx.org_id)


def listed(ctx: Context, project_id: UUID | None = None) -> tuple[Rows, Sorts]:
    """The issues of a project, or of all, by the list's filters; and what they can be sorted by.

    A search without ``sort`` is ordered by relevance.
    """
    statement = _all(ctx).where(*_conditions(ctx), *filtered(ctx, FIELDS))
    search = ctx.query["search"]
    if search is None:
        of_project = [] if project_id is None else [Issue.project_id == project_id]
        return statement.where(*of_project), SORTS
    # The function looks into this project only. Said here too, PostgreSQL would expect few issues
    # in it and read them all, instead of the hits.
    hits = (
        func.search_issues(search, project_id)
        .table_valued(column("issue_id", PgUUID(as_uuid=True)), column("rank", Integer))
        .alias("hits")
    )
    statement = statement.join(hits, hits.c.issue_id == Issue.id)
    by_relevance = {**SORTS.by, "relevance": Sort(hits.c.rank)}
    return statement, Sorts(by_relevance, SORTS.identity, "-relevance")


def _conditions(ctx: Context) -> list[Any]:
    query = ctx.query
    conditions: list[Any] = []
    for attribute, values in ((Issue.status, query["status"]), (Issue.priority, query["priority"])):
        if values:
            one_only = len(values) == 1
            conditions.append(attribute == values[0] if one_only else attribute.in_(values))
    if (assignee := query["assignee"]) is not None:
        person = None if assignee == "none" else _person(ctx, assignee)
        conditions.append(Issue.assignee_id == person)
    if (reporter := query["reporter"]) is not None:
        conditions.append(Issue.reporter_id == _person(ctx, reporter))
    return conditions


def _person(ctx: Context, word: str) -> UUID:
    return ctx.user_id if word == "me" else UUID(word)
