"""Reading issues: one statement that selects the columns of the answer."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    TableValuedAlias,
    any_,
    bindparam,
    column,
    func,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from bugtracker.context import Context
from bugtracker.db import given
from bugtracker.models import Issue, Project
from bugtracker.paging import MOST, Page, Sort, Sorts, date_sort, paginate, time_sort
from bugtracker.queries.issue_filters import FIELDS
from bugtracker.rsql import filtered
from bugtracker.security.named import OfIssue, in_same_project

ID = PgUUID(as_uuid=True)

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
ONE = OfIssue(ALL)
HERE = ALL.where(Issue.org_id == given(Issue.org_id))
IN_PROJECT = HERE.where(Issue.project_id == given(Issue.project_id))
IS_ONE_OF = {
    "status": (Issue.status, Issue.status == given(Issue.status)),
    "priority": (Issue.priority, Issue.priority == given(Issue.priority)),
}
BY_IDS = ALL.where(
    Issue.org_id == given(Issue.org_id), Issue.id == any_(bindparam("ids", type_=ARRAY(ID)))
)

RANKED = 1000
"""So many hits of a search have a relevance, the newest; as in the contract."""
BEHIND = (
    bindparam("newest", None, type_=ID),
    bindparam("rank", None, type_=Integer),
    bindparam("last", None, type_=ID),
)


def find(ctx: Context, ref: str) -> Row[*tuple[Any, ...]] | None:
    """The issue of this id or key in the caller's organisation."""
    statement, values = ONE.named(ctx.org_id, ref)
    return ctx.read(statement, **values).one_or_none()


def page(ctx: Context, project_id: UUID | None = None) -> Page:
    """One page of the issues of a project, or of all, by the list's filters.

    A search without ``sort`` is ordered by relevance.
    """
    conditions = [*_conditions(ctx), *filtered(ctx, FIELDS)]
    if ctx.query["search"] is None:
        statement = HERE if project_id is None else IN_PROJECT
        return paginate(ctx, statement.where(*conditions), SORTS, **_values(ctx, project_id))
    if conditions or ctx.query["sort"] is not None:
        return _search(ctx, project_id, conditions)
    return _best_of_search(ctx, project_id)


def _search(ctx: Context, project_id: UUID | None, conditions: list[Any]) -> Page:
    # The function looks into this project only. Said here too, PostgreSQL would expect few issues
    # in it and read them all, instead of the hits. What is sorted otherwise needs no relevance.
    ranked = RANKED if ctx.query["sort"] is None else 0
    hits = _hits(ctx, project_id, ranked, null())
    statement = HERE.where(*conditions)
    by_relevance = {**SORTS.by, **_relevance(hits).by}
    return paginate(
        ctx,
        statement.join(hits, hits.c.issue_id == Issue.id),
        Sorts(by_relevance, SORTS.identity, "-best"),
        **_values(ctx),
    )


def _best_of_search(ctx: Context, project_id: UUID | None) -> Page:
    """Which come first is known from the documents alone: only those of the page are read."""
    hits = _hits(ctx, project_id, RANKED, MOST)
    found = paginate(ctx, select(hits.c.issue_id.label("id")), _relevance(hits))
    if not found.rows:
        return found
    issues = ctx.read(BY_IDS, org_id=ctx.org_id, ids=[hit.id for hit in found.rows])
    by_id = {issue.id: issue for issue in issues}
    return replace(found, rows=[by_id[hit.id] for hit in found.rows])


def _hits(
    ctx: Context, project_id: UUID | None, ranked: int, most: ColumnElement[Any]
) -> TableValuedAlias:
    function = func.find_issues(ctx.query["search"], project_id, ranked, most, *BEHIND)
    columns = (column("issue_id", ID), column("rank", Integer), column("newest", ID))
    return function.table_valued(*columns).alias("hits")


def _relevance(hits: TableValuedAlias) -> Sorts:
    """A cursor keeps the newest hit, too: that which are ranked is the same on every page."""
    kept = func.json_build_array(hits.c.rank, hits.c.newest)
    best = Sort(hits.c.rank, decode=lambda value: value[0], kept=kept, behind=_behind)
    return Sorts({"best": best}, hits.c.issue_id, "-best")


def _behind(value: Any, last: UUID) -> dict[str, Any]:
    rank, newest = value
    return {"newest": UUID(newest), "rank": rank, "last": last}


def _conditions(ctx: Context) -> list[Any]:
    query = ctx.query
    conditions: list[Any] = []
    for name, (attribute, is_given) in IS_ONE_OF.items():
        if words := query[name]:
            conditions.append(is_given if len(words) == 1 else attribute.in_(words))
    if (assignee := query["assignee"]) is not None:
        person = None if assignee == "none" else _person(ctx, assignee)
        conditions.append(Issue.assignee_id == person)
    if (reporter := query["reporter"]) is not None:
        conditions.append(Issue.reporter_id == _person(ctx, reporter))
    return conditions


def _values(ctx: Context, project_id: UUID | None = None) -> dict[str, Any]:
    """Those of the places in the statement, and maybe some that it has no place for."""
    single = {name: ctx.query[name][0] for name in IS_ONE_OF if ctx.query[name]}
    return {"org_id": ctx.org_id, "project_id": project_id, **single}


def _person(ctx: Context, word: str) -> UUID:
    return ctx.user_id if word == "me" else UUID(word)
