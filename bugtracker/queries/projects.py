"""Reading projects."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select

from bugtracker.context import Context
from bugtracker.db import Rows, given
from bugtracker.models import Project
from bugtracker.paging import Sort, Sorts, time_sort
from bugtracker.security.named import PROJECT_KEY

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


HERE = select(*COLUMNS).where(Project.org_id == given(Project.org_id))
BY_ID = HERE.where(Project.id == given(Project.id))
BY_KEY = HERE.where(Project.key == given(Project.key))


def named(org_id: UUID, ref: str) -> tuple[Rows, dict[str, Any]]:
    """The statement about the project of this id or key in an organisation, and its values."""
    if PROJECT_KEY.fullmatch(ref):
        return BY_KEY, {"org_id": org_id, "key": ref.upper()}
    return BY_ID, {"org_id": org_id, "id": UUID(ref)}


def find(ctx: Context, ref: str) -> Row[*tuple[Any, ...]] | None:
    """The project of this id or key in the caller's organisation."""
    statement, values = named(ctx.org_id, ref)
    return ctx.read(statement, **values).one_or_none()


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
