"""Reading issues: one statement that selects the columns of the answer."""

from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Row, column, func, select
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from bugtracker.context import Context
from bugtracker.db import Rows, given
from bugtracker.models import Issue, Project
from bugtracker.paging import Sort, Sorts, date_sort, time_sort
from bugtracker.queries.issue_filters import FIELDS
from bugtracker.rsql import filtered
from bugtracker.security.scoping import in_same_project, parse_issue_key, project_of_key

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


# Made once: to put a statement together takes longer than to run it.
ALL = select(*COLUMNS).join(Project, in_same_project())
ONE = ALL.where(Issue.org_id == given(Issue.org_id))
BY_ID = ONE.where(Issue.id == given(Issue.id))
BY_KEY = ONE.where(
    # Looked up first rather than joined: all three columns of the unique index are known.
    Issue.project_id == project_of_key(given(Issue.org_id), given(Project.key)),
    Issue.number == given(Issue.number),
)


def find(ctx: Context, ref: str) -> Row[*tuple[Any, ...]] | None:
    """The issue of this id or key in the caller's organisation."""
    if (named := parse_issue_key(ref)) is not None:
        key, number = named
        found = ctx.read(BY_KEY, org_id=ctx.org_id, key=key, number=number)
    else:
        found = ctx.read(BY_ID, org_id=ctx.org_id, id=UUID(ref))
    return found.one_or_none()


def listed(ctx: Context, project_id: UUID | None = None) -> tuple[Rows, Sorts]:
    """The issues of a project, or of all, by the list's filters; and what they can be sorted by.

    A search without ``sort`` is ordered by relevance.
    """
    here = Issue.org_id == ctx.org_id
    statement = ALL.where(here, *_conditions(ctx), *filtered(ctx, FIELDS))
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
