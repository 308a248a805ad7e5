"""Reading invitations."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Invitation
from bugtracker.paging import Sort, Sorts

# Ids are made in the order of time, and the table's key ends with them.
SORTS = Sorts(
    by={"id": Sort(Invitation.id, decode=UUID, unique=True)},
    identity=Invitation.id,
    default="-id",
)


def listed(ctx: Context) -> Rows:
    """The organisation's invitations, by ``state``."""
    statement = _all(ctx)
    if (state := ctx.query["state"]) is not None:
        statement = statement.where(_state(ctx) == state)
    return statement


def one(ctx: Context, invitation_id: str) -> Rows:
    """The invitation of this id in the caller's organisation."""
    return _all(ctx).where(Invitation.id == UUID(invitation_id))


def _all(ctx: Context) -> Rows:
    return select(
        Invitation.id,
        Invitation.email,
        Invitation.role,
        _state(ctx).label("state"),
        Invitation.invited_by_id,
        Invitation.expires_at,
        Invitation.created_at,
        Invitation.updated_at,
        Invitation.version,
    ).where(Invitation.org_id == ctx.org_id)


def _state(ctx: Context) -> ColumnElement[Any]:
    return case(
        (Invitation.accepted_at.is_not(None), "accepted"),
        (Invitation.revoked_at.is_not(None), "revoked"),
        (Invitation.expires_at <= ctx.now, "expired"),
        else_="pending",
    )
