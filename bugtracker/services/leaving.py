"""What goes with somebody who leaves an organisation: their API keys, and invitations they have not
used. Whoever takes them back takes back the person, not what they could have hidden away."""

from uuid import UUID

from sqlalchemy import func, select

from bugtracker.context import Context
from bugtracker.models import Account, ApiKey, Invitation, Member
from bugtracker.services import api_keys, events


def take_along(ctx: Context, member: Member) -> None:
    """Ends the keys and open invitations of a member who is locked and being removed."""
    _revoke_keys(ctx, member.user_id)
    if member.account_id is not None:
        _revoke_invitations(ctx, member.account_id)


def _revoke_keys(ctx: Context, user_id: UUID) -> None:
    made = select(ApiKey).where(
        ApiKey.org_id == ctx.org_id, ApiKey.created_by_id == user_id, ApiKey.revoked_at.is_(None)
    )
    for key in ctx.session.scalars(made.order_by(ApiKey.id).with_for_update()).all():
        api_keys.revoke(ctx, key)


def _revoke_invitations(ctx: Context, account_id: UUID) -> None:
    """Somebody invited who came in by another way still has the mail."""
    address = select(func.lower(Account.email)).where(Account.id == account_id).scalar_subquery()
    open_ones = select(Invitation).where(
        Invitation.org_id == ctx.org_id,
        func.lower(Invitation.email) == address,
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    for invitation in ctx.session.scalars(open_ones.with_for_update()).all():
        invitation.revoke(ctx.now)
        resource = events.Resource("invitation", invitation.id, invitation.version)
        events.record(ctx, "invitation.revoked", resource, {"revoked": (False, True)})
