"""Reading deletion requests."""

from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, true

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import DeletionRequest
from bugtracker.paging import Sort, Sorts
from bugtracker.security.permissions import Relations, may

# Ids are made in the order of time, and the table's key ends with them.
SORTS = Sorts(
    by={"id": Sort(DeletionRequest.id, decode=UUID, unique=True)},
    identity=DeletionRequest.id,
    default="-id",
)


def listed(ctx: Context) -> Rows:
    """The organisation's requests that the caller may see, by ``state``."""
    statement = _all(ctx).where(_visible(ctx))
    if (state := ctx.query["state"]) is not None:
        statement = statement.where(DeletionRequest.state == state)
    return statement


def one(ctx: Context, request_id: UUID) -> Rows:
    """The request of this id in the caller's organisation, whoever may see it."""
    return _all(ctx).where(DeletionRequest.id == request_id)


def _all(ctx: Context) -> Rows:
    return select(
        DeletionRequest.id,
        DeletionRequest.user_id,
        DeletionRequest.state,
        DeletionRequest.requested_by_id,
        DeletionRequest.decided_by_id,
        DeletionRequest.decided_at,
        DeletionRequest.reason,
        DeletionRequest.events_checked,
        DeletionRequest.done_at,
        DeletionRequest.created_at,
        DeletionRequest.updated_at,
        DeletionRequest.version,
    ).where(DeletionRequest.org_id == ctx.org_id)


def _visible(ctx: Context) -> ColumnElement[bool]:
    """Those who decide see all, others what they asked for and what is about them."""
    if may(ctx.principal, "privacy.approve", Relations()):
        return true()
    return or_(
        DeletionRequest.user_id == ctx.user_id, DeletionRequest.requested_by_id == ctx.user_id
    )
