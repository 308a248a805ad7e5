"""Invitations: send, list, read, send again, take back, accept."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.paging import paginate
from bugtracker.queries import invitations as queries
from bugtracker.security.scoping import not_found
from bugtracker.serializers import invitations as serializers
from bugtracker.services import invitations as service
from bugtracker.services import joining


def list_invitations(ctx: Context) -> Reply:
    """GET /api/invitations"""
    return paginate(ctx, queries.listed(ctx), queries.SORTS).reply(ctx, serializers.invitation)


def create_invitation(ctx: Context) -> Reply:
    """POST /api/invitations"""
    invitation = service.create_invitation(ctx)
    row = ctx.session.execute(queries.one(ctx, str(invitation.id))).one()
    return created(row, serializers.invitation(row), f"/api/invitations/{row.id}")


def get_invitation(ctx: Context, invitation_id: str) -> Reply:
    """GET /api/invitations/{invitation_id}"""
    row = ctx.session.execute(queries.one(ctx, invitation_id)).one_or_none()
    if row is None:
        raise not_found("invitation")
    return item(row, serializers.invitation(row))


def resend_invitation(ctx: Context, invitation_id: str) -> Reply:
    """POST /api/invitations/{invitation_id}/resend"""
    service.resend_invitation(ctx, invitation_id)
    row = ctx.session.execute(queries.one(ctx, invitation_id)).one()
    return item(row, serializers.invitation(row))


def revoke_invitation(ctx: Context, invitation_id: str) -> Reply:
    """DELETE /api/invitations/{invitation_id}"""
    service.revoke_invitation(ctx, invitation_id)
    return Reply(status=204)


def accept_invitation(ctx: Context) -> Reply:
    """POST /api/invitations/accept"""
    return Reply(serializers.joined(joining.accept_invitation(ctx)))
