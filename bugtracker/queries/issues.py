"""Reading issues: one statement that selects the columns of the answer."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    TableValuedAlias,
    Text,
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
from bugtracker.db import Rows, given
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
ONE = OfIssue(ALL.where)
HERE = ALL.where(Issue.org_id == given(Issue.org_id))
IN_PROJECT = HERE.where(Issue.project_id == given(Issue.project_id))
CONDITIONS: dict[str, ColumnElement[bool]] = {
    "status": Issue.status == given(Issue.status),
    "statuses": Issue.status.in_(bindparam("statuses", expanding=True)),
    "priority": Issue.priority == given(Issue.priority),
    "priorities": Issue.priority.in_(bindparam("priorities", expanding=True)),
    "assignee_id": Issue.assignee_id == given(Issue.assignee_id),
    "unassigned": Issue.assignee_id.is_(None),
    "reporter_id": Issue.reporter_id == given(Issue.reporter_id),
}
"""By the name of the place of its value."""
SEVERAL = {"status": "statuses", "priority": "priorities"}
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


def _hits(most: ColumnElement[Any]) -> TableValuedAlias:
    asked = (bindparam("search", type_=Text), bindparam("project_id", type_=ID))
    ranked = bindparam("ranked", type_=Integer)
    columns = (column("issue_id", ID), column("rank", Integer), column("newest", ID))
    function = func.find_issues(*asked, ranked, most, *BEHIND)
    return function.table_valued(*columns).alias("hits")


def _behind(value: Any, last: UUID) -> dict[str, Any]:
    rank, newest = value
    return {"newest": UUID(newest), "rank": rank, "last": last}


def _relevance(hits: TableValuedAlias) -> Sort:
    """A cursor keeps the newest hit, too: that which are ranked is the same on every page."""
    kept = func.json_build_array(hits.c.rank, hits.c.newest)
    return Sort(hits.c.rank, decode=lambda value: value[0], kept=kept, behind=_behind)


HITS, BEST_HITS = _hits(null()), _hits(MOST)
HIT_SORTS = Sorts({**SORTS.by, "best": _relevance(HITS)}, SORTS.identity, "-best")
BEST = select(BEST_HITS.c.issue_id.label("id"))
BEST_SORTS = Sorts({"best": _relevance(BEST_HITS)}, BEST_HITS.c.issue_id, "-best")

Asked = dict[str, Any]
Further = Sequence[ColumnElement[bool]]


def find(ctx: Context, ref: str) -> Row[*tuple[Any, ...]] | None:
    """The issue of this id or key in the caller's organisation."""
    statement, values = ONE.named(ctx.org_id, ref)
    return ctx.read(statement, **values).one_or_none()


def page(ctx: Context, project_id: UUID | None = None) -> Page:
    """One page of the issues of a project, or of all, by the list's filters.

    A search without ``sort`` is ordered by relevance.
    """
    asked, further = _asked(ctx), filtered(ctx, FIELDS)
    values = {"org_id": ctx.org_id, "project_id": project_id, **asked}
    if ctx.query["search"] is not None:
        return _found(ctx, further, asked, values)
    statement = _listed(tuple(asked), in_project=project_id is not None)
    return paginate(ctx, _narrowed(statement, further), SORTS, **values)


def _found(ctx: Context, further: Further, asked: Asked, values: Asked) -> Page:
    # What is sorted otherwise needs no relevance.
    is_sorted = ctx.query["sort"] is not None
    values = {**values, "search": ctx.query["search"], "ranked": 0 if is_sorted else RANKED}
    if not asked and not further and not is_sorted:
        return _best(ctx, values)
    return paginate(ctx, _narrowed(_searched(tuple(asked)), further), HIT_SORTS, **values)


def _narrowed(statement: Rows, further: Further) -> Rows:
    # What was made once is recognised by being the same.
    return statement.where(*further) if further else statement


@lru_cache
def _listed(asked: tuple[str, ...], *, in_project: bool) -> Rows:
    statement = IN_PROJECT if in_project else HERE
    return statement.where(*(CONDITIONS[name] for name in asked))


@lru_cache
def _searched(asked: tuple[str, ...]) -> Rows:
    # The function looks into this project only. Said here too, PostgreSQL would expect few issues
    # in it and read them all, instead of the hits.
    return _listed(asked, in_project=False).join(HITS, HITS.c.issue_id == Issue.id)


def _best(ctx: Context, values: Asked) -> Page:
    """Which come first is known from the documents alone: only those of the page are read."""
    found = paginate(ctx, BEST, BEST_SORTS, **values)
    if not found.rows:
        return found
    issues = ctx.read(BY_IDS, org_id=ctx.org_id, ids=[hit.id for hit in found.rows])
    by_id = {issue.id: issue for issue in issues}
    return replace(found, rows=[by_id[hit.id] for hit in found.rows])


def _asked(ctx: Context) -> Asked:
    """Which conditions the list shall meet, and the values of their places."""
    query = ctx.query
    asked: Asked = {}
    for name, several in SEVERAL.items():
        if words := query[name]:
            asked |= {name: words[0]} if len(words) == 1 else {several: words}
    if query["assignee"] == "none":
        asked["unassigned"] = None
    elif query["assignee"] is not None:
        asked["assignee_id"] = _person(ctx, query["assignee"])
    if query["reporter"] is not None:
        asked["reporter_id"] = _person(ctx, query["reporter"])
    return asked


def _person(ctx: Context, word: str) -> UUID:
    return ctx.user_id if word == "me" else UUID(word)
