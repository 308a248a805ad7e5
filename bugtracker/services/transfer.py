"""Handing an organisation over to another of its members."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.errors import SuccessorInvalid, Violation
from bugtracker.messages import _
from bugtracker.models import Account, Member
from bugtracker.security.permissions import authorise
from bugtracker.security.scoping import require_current
from bugtracker.services import members, reauthentication


def transfer_organisation(ctx: Context, organisation_id: str) -> None:
    """Makes another member an owner and the caller an admin, in one transaction.

    422 when the password is wrong, or the person is not another member who can log in.
    """
    require_current(ctx, organisation_id)
    reauthentication.require(ctx, "current_password")
    former = members.lock(ctx, ctx.user_id)
    authorise(members.acting(ctx), "organisation.transfer", members.NOBODY)
    successor = _successor(ctx, UUID(ctx.body["user_id"]))
    if successor.role != "owner":
        members.set_role(ctx, successor, "owner")
    members.set_role(ctx, former, "admin")


def _successor(ctx: Context, user_id: UUID) -> Member:
    member = ctx.session.scalar(
        select(Member)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.user_id == user_id,
            Member.user_id != ctx.user_id,
            Member.removed_at.is_(None),
            Account.is_active,
        )
        .with_for_update(key_share=True, of=Member)
    )
    if member is None:
        reason = _("is no other member of this organisation who can log in")
        violation = Violation("successor_invalid", reason, pointer="/user_id")
        raise SuccessorInvalid(_("The person {reason}.", reason=reason), errors=[violation])
    return member
