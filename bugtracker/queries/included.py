"""What can be put beside issues and users: one statement for all that a page names."""

from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from bugtracker.context import Context
from bugtracker.includes import Include, Includes, Loaded
from bugtracker.models import Project
from bugtracker.models.base import OrderedEnum
from bugtracker.models.organisation import ROLES, Role
from bugtracker.queries.people import PEOPLE
from bugtracker.serializers import tracker, users

MOST_ORGANISATIONS = 100
"""So many of each person's are shown."""


def _projects(ctx: Context, ids: set[UUID]) -> Loaded:
    columns = (Project.id, Project.key, Project.name, Project.is_archived)
    found = select(*columns).where(Project.org_id == ctx.org_id, Project.id.in_(ids))
    return {row.id: tracker.project_ref(row) for row in ctx.session.execute(found)}


def _people(ctx: Context, ids: set[UUID]) -> Loaded:
    columns = (PEOPLE.c.user_id.label("id"), PEOPLE.c.username, PEOPLE.c.name)
    found = select(*columns).where(PEOPLE.c.org_id == ctx.org_id, PEOPLE.c.user_id.in_(ids))
    return {row.id: users.person(row) for row in ctx.session.execute(found)}


def _organisations(ctx: Context, ids: set[UUID]) -> Loaded:
    """Those that the caller has in common with each; an API key knows only its own."""
    id_type = PgUUID(as_uuid=True)
    accounts = bindparam(None, sorted(ids), ARRAY(id_type))
    shared = func.shared_organisations(accounts).table_valued(
        column("account_id", id_type),
        column("id", id_type),
        column("slug", Text),
        column("name", Text),
        column("role", OrderedEnum(*ROLES)),
    )
    statement = select(shared)
    if ctx.principal.api_key_id is not None:
        statement = statement.where(shared.c.id == ctx.org_id)
    rows = ctx.session.execute(statement.order_by(shared.c.account_id, shared.c.id))
    return {
        account_id: [users.organisation(row) for row in list(group)[:MOST_ORGANISATIONS]]
        for account_id, group in groupby(rows, attrgetter("account_id"))
    }


def _roles(ctx: Context, roles: set[Role]) -> dict[Any, Any]:  # noqa: ARG001
    return {role: users.role(role) for role in roles}


ISSUE_INCLUDES: Includes = {
    "project": Include(attrgetter("project_id"), _projects),
    "reporter": Include(attrgetter("reporter_id"), _people),
    "assignee": Include(attrgetter("assignee_id"), _people),
}
USER_INCLUDES: Includes = {
    "orgs": Include(attrgetter("id"), _organisations, missing=[]),
    "roles": Include(attrgetter("role"), _roles),
}
