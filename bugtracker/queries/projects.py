"""Reading projects."""

from typing import Any

from sqlalchemy import Row, func, or_, select

from bugtracker.context import Context
from bugtracker.db import Rows, given
from bugtracker.models import Project
from bugtracker.paging import Sort, Sorts, time_sort
from bugtracker.security.named import project_named

COLUMNS = (
    Project.id,
    Project.key,
    Project.name,
    Project.description,
    Project.created_by_id,
    Project.is_archived,
    Project.created_at,
    Project.updated_at,
    Project.version,
)

SORTS = Sorts(
    by={
        "name": Sort(func.lower(Project.name)),
        "created_at": time_sort(Project.created_at),
        "updated_at": time_sort(Project.updated_at),
    },
    identity=Project.id,
    default="-created_at",
)


BY_ID = select(*COLUMNS).where(
    Project.org_id == given(Project.org_id), Project.id == given(Project.id)
)


def find(ctx: Context, project_id: str) -> Row[*tuple[Any, ...]] | None:
    """The project of this id or key in the caller's organisation."""
    found = project_named(ctx, project_id)
    return ctx.read(BY_ID, org_id=ctx.org_id, id=found).one_or_none()


def listed(ctx: Context) -> Rows:
    """The caller's projects, by ``search`` (name, key or description) and ``is_archived``."""
    statement = select(*COLUMNS).where(Project.org_id == ctx.org_id)
    if (archived := ctx.query["is_archived"]) is not None:
        statement = statement.where(Project.is_archived == archived)
    if (search := ctx.query["search"]) is not None:
        # An organisation has tens of projects: reading them all is cheaper than an index.
        columns = (Project.name, Project.key, Project.description)
        statement = statement.where(
            or_(*(column.icontains(search, autoescape=True) for column in columns))
        )
    return statement
