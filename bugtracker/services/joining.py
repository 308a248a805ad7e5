"""Accepting an invitation. The mailed token proves the mailbox, and nothing else is asked of
somebody who has an account; who has none gets one, verified at once."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text, update

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.errors import AccountRequired, InvitationTokenInvalid, Violation
from bugtracker.messages import Message, _
from bugtracker.models import Account, Invitation, Member, Organisation, Provisioning
from bugtracker.models.organisation import Role
from bugtracker.security.permissions import may_give
from bugtracker.security.scoping import lock_organisation
from bugtracker.security.secrets import token_hash
from bugtracker.services import accounts, events, invitations, members

FIND = text("SELECT org_id, id, email FROM invitation_by_token(:hash)")


@dataclass(frozen=True, slots=True)
class Found:
    """An open invitation, as it was before a password was hashed."""

    org_id: UUID
    id: UUID
    email: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Who joined what, and as what."""

    account: Account
    organisation: Organisation
    role: Role
    account_created: bool


def accept_invitation(ctx: Context) -> Joined:
    """Redeems a mailed token, once: its address joins the organisation.

    422 for a token that is not live, also when whoever sent it may not give the role any more;
    422 ``account_required`` when the address has no account and the body names none.
    """
    hashed = token_hash(ctx.body["token"])
    found = _find(ctx, hashed)
    # Slow on purpose, and therefore before this request holds a connection.
    password_hash = _hashed_password(ctx, found.email)
    account = accounts.lock_address(ctx.session, found.email)
    is_new = account is None or account.verified_at is None
    if account is None or account.verified_at is None:
        account = _create(ctx, found, password_hash)
    if not account.is_active and not account.deactivated_by_removal:
        raise _invalid()
    organisation = _enter(ctx, found.org_id, account.id)
    invitation = _redeem(ctx, found, hashed)
    _require_sender_may(ctx, invitation)
    role = members.join(ctx, found.org_id, account, invitation.role)
    by = events.Origin(ctx.now, found.org_id, account.id, account.id, ctx.request_id)
    events.append(
        ctx.session,
        by,
        "invitation.accepted",
        invitations.resource(invitation),
        {"accepted": (False, True)},
    )
    return Joined(account, organisation, role, is_new)


def _find(ctx: Context, hashed: bytes) -> Found:
    with ctx.db.read() as connection:
        row = connection.execute(FIND, {"hash": hashed}).one_or_none()
    if row is None:
        raise _invalid()
    return Found(*row)


def _invalid(detail: Message | None = None) -> InvitationTokenInvalid:
    violation = Violation("token", _("is unknown, used, revoked or expired"), pointer="/token")
    return InvitationTokenInvalid(detail or _("Ask for another invitation."), errors=[violation])


def _hashed_password(ctx: Context, email: str) -> str | None:
    """The hash of the password of a new account; None where the body has none."""
    body = ctx.body
    if "username" not in body or "password" not in body:
        return None
    ctx.runtime.policy.require_strong(body["password"], username=body["username"], email=email)
    return ctx.runtime.hasher.hash(body["password"])


def _create(ctx: Context, found: Found, password_hash: str | None) -> Account:
    """An account for the invited address; a registration that was never verified gives way."""
    if password_hash is None:
        missing = [name for name in ("username", "password") if name not in ctx.body]
        raise AccountRequired(
            _("The address has no account yet: send username and password for one, too."),
            errors=[
                Violation("required", _("is required"), pointer=f"/{name}") for name in missing
            ],
        )
    account_id = accounts.create_account(
        ctx.session,
        email=found.email,
        username=ctx.body["username"],
        password_hash=password_hash,
        by=events.Origin(ctx.now, None, None, None, ctx.request_id),
        name=ctx.body.get("name"),
    )
    return ctx.session.get_one(Account, account_id)


def _enter(ctx: Context, org_id: UUID, account_id: UUID) -> Organisation:
    enter_tenant(ctx.session, org_id, account_id)
    return lock_organisation(ctx, org_id)


def _redeem(ctx: Context, found: Found, hashed: bytes) -> Invitation:
    """Uses the token up, in one statement. 422 when somebody else did, or it ended meanwhile."""
    redeemed: Invitation | None = ctx.session.scalar(
        update(Invitation)
        .where(
            Invitation.org_id == found.org_id,
            Invitation.id == found.id,
            Invitation.token_hash == hashed,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > ctx.now,
        )
        .values(
            accepted_at=ctx.now,
            token_hash=None,
            updated_at=ctx.now,
            version=Invitation.version + 1,
        )
        .returning(Invitation)
    )
    if redeemed is None:
        raise _invalid()
    return redeemed


def _require_sender_may(ctx: Context, invitation: Invitation) -> None:
    """422 when whoever sent the invitation left, or may not give that role any more."""
    sender = ctx.session.scalar(
        select(Member.role)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == invitation.org_id,
            Member.user_id == invitation.invited_by_id,
            Member.removed_at.is_(None),
            Account.is_active,
        )
    )
    if not may_give(sender, invitation.role) and not _is_partners(ctx, invitation):
        raise _invalid(_("Whoever invited you may not do so any more; ask for another invitation."))


def _is_partners(ctx: Context, invitation: Invitation) -> bool:
    """Whether a partner system had it sent, with the organisation that it had made. Not before
    that was whole; a partner that was disabled since has made it all the same."""
    made = select(Provisioning.id).where(
        Provisioning.organisation_id == invitation.org_id,
        Provisioning.partner_id == invitation.invited_by_id,
        Provisioning.state == "completed",
    )
    return ctx.session.scalar(made) is not None
