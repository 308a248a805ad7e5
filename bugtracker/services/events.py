"""The one place that records what happened. Every change writes here, in its own transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.ids import new_id
from bugtracker.models import Comment, Event, Issue, Project

ADD = insert(cast(Table, Event.__table__))

Changes = Mapping[str, tuple[Any, Any]]
"""Field → (old, new); created things have None as old."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What an event is about, and the issue and project it belongs to."""

    type: str
    id: UUID
    version: int | None = None
    project_id: UUID | None = None
    issue_id: UUID | None = None


def of_project(project: Project) -> Resource:
    """A project as the subject of an event."""
    return Resource("project", project.id, project.version, project_id=project.id)


def of_issue(issue: Issue) -> Resource:
    """An issue as the subject of an event."""
    return Resource("issue", issue.id, issue.version, issue.project_id, issue.id)


def of_comment(comment: Comment, issue: Issue) -> Resource:
    """A comment as the subject of an event."""
    return Resource("comment", comment.id, comment.version, issue.project_id, issue.id)


def created(**fields: Any) -> dict[str, tuple[Any, Any]]:
    """The changes of a creation: whatever was given a value."""
    return {field: (None, value) for field, value in fields.items() if value is not None}


def record(ctx: Context, action: str, resource: Resource, changes: Changes) -> UUID:
    """An event of the caller's organisation, by the caller; returns its id."""
    return append(ctx.session, by_caller(ctx), action, resource, changes)


def by_caller(ctx: Context) -> "Origin":
    """Here and now, by the caller, whatever they came with."""
    return Origin(
        ctx.now,
        ctx.org_id,
        actor_id=ctx.user_id,
        request_id=ctx.request_id,
        api_key_id=ctx.principal.api_key_id,
    )


def record_for_account(
    ctx: Context,
    action: str,
    resource: Resource,
    changes: Changes,
    *,
    account_id: UUID,
    org_id: UUID | None,
) -> None:
    """An event of a person (login, verification) in an organisation, or outside any.

    Moves the transaction into that tenant: before a login nobody has set one.
    """
    enter_tenant(ctx.session, org_id, account_id)
    by = Origin(ctx.now, org_id, account_id, account_id, ctx.request_id)
    append(ctx.session, by, action, resource, changes)


@dataclass(frozen=True, slots=True)
class Origin:
    """When and where something happened, and who did it; None for the operator's commands."""

    now: datetime
    org_id: UUID | None
    actor_id: UUID | None = None
    account_id: UUID | None = None
    request_id: str | None = None
    api_key_id: UUID | None = None


def append(
    session: Session, origin: Origin, action: str, resource: Resource, changes: Changes
) -> UUID:
    """Writes one event and returns its id; the transaction must be in ``origin``'s tenant."""
    event_id = new_id()
    # What it is about comes first; the event itself is no entity that anyone works with.
    session.flush()
    session.connection().execute(
        ADD,
        {
            "id": event_id,
            "org_id": origin.org_id,
            "action": action,
            "actor_id": origin.actor_id,
            "account_id": origin.account_id,
            "resource_type": resource.type,
            "resource_id": resource.id,
            "resource_version": resource.version,
            "project_id": resource.project_id,
            "issue_id": resource.issue_id,
            "changes": {field: list(pair) for field, pair in changes.items()},
            "request_id": origin.request_id,
            "api_key_id": origin.api_key_id,
            "created_at": origin.now,
        },
    )
    return event_id
