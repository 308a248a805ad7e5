"""The one place where memberships change: roles, leaving, removing, coming back.

Each change first locks the organisation's row, so they happen one after the other: what is decided
here (what the caller's role is by now, whether an owner remains) stays true until the commit. A
session's role is read with every request, so all of it bites at the person's next one; what they
reported, wrote or were assigned stays theirs.
"""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import exists, select

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import OwnerRequired
from bugtracker.models import Account, Member
from bugtracker.models.organisation import Role
from bugtracker.security.authentication import require_session, token_invalid
from bugtracker.security.permissions import Relations, authorise, authorise_granting, authorise_over
from bugtracker.security.principal import Principal
from bugtracker.security.scoping import lock_organisation, not_found
from bugtracker.services import events, leaving, organisations

NOBODY = Relations()


def lock(ctx: Context, user_id: UUID) -> Member:
    """A member of the caller's organisation, locked; nobody else's membership changes meanwhile.
    404 for whoever is not (any more) in it."""
    member = _lock(ctx, user_id)
    if member is None or member.removed_at is not None:
        raise not_found("member")
    return member


def change_role(ctx: Context, member: Member, role: Role) -> None:
    """Gives a locked member another role; the same one is no change.

    403 above the caller's own role, in the member's old role or the new one; 409 for the last
    owner; 412 as ``If-Match`` says.
    """
    caller = _authorised(ctx, "users.update", member)
    check_if_match(ctx, member, member.user_id)
    if role == member.role:
        return
    authorise_granting(caller, role)
    _keep_an_owner(ctx, member)
    set_role(ctx, member, role)


def remove(ctx: Context, user_id: UUID) -> Member:
    """Ends a membership: one's own, which everybody may, or another's; API keys and unused
    invitations end with it. 404, 403, 409 and 412 as :func:`change_role`."""
    member = lock(ctx, user_id)
    if user_id == ctx.user_id:
        # A key could be given too little to remove anybody, and would make its maker leave.
        require_session(ctx.principal)
    else:
        _authorised(ctx, "users.delete", member)
    check_if_match(ctx, member, member.user_id)
    _keep_an_owner(ctx, member)
    member.removed_at = ctx.now
    member.touch(ctx.now)
    record(ctx, "member.removed", member, {"removed": (False, True)})
    leaving.take_along(ctx, member)
    return member


def restore(ctx: Context, user_id: UUID) -> Member:
    """Takes somebody who was removed back, in the role they had; who was not is no change.

    404 for whoever never was a member, 403 above the role that the caller may give.
    """
    member = _lock(ctx, user_id)
    if member is None:
        raise not_found("member")
    caller = acting(ctx)
    authorise(caller, "users.restore", NOBODY)
    authorise_granting(caller, member.role)
    if member.removed_at is not None:
        member.removed_at = None
        member.touch(ctx.now)
        record(ctx, "member.restored", member, {"removed": (True, False)})
    return member


def _authorised(ctx: Context, permission: str, member: Member) -> Principal:
    """The caller, who may do this to the member: nobody above them."""
    caller = acting(ctx)
    authorise(caller, permission, NOBODY)
    authorise_over(caller, member.role)
    return caller


def join(ctx: Context, org_id: UUID, account_id: UUID, role: Role) -> Role:
    """Makes an account a member of the organisation that is locked and the transaction is in, or
    takes it back. Returns the role it has now: a present member keeps theirs."""
    member = ctx.session.get(Member, (org_id, account_id), with_for_update={"key_share": True})
    if member is not None and member.removed_at is None:
        return member.role
    by = events.Origin(ctx.now, org_id, account_id, account_id, ctx.request_id)
    if member is None:
        organisations.add_member(ctx.session, org_id, account_id, role, by)
        return role
    changes = {"removed": (True, False), "role": (member.role, role)}
    member.removed_at, member.role = None, role
    member.touch(ctx.now)
    resource = events.Resource("user", account_id, member.version)
    events.append(ctx.session, by, "member.restored", resource, changes)
    return role


def acting(ctx: Context) -> Principal:
    """The caller with the role they have now that no membership can change. 401 when they were
    removed since the request began."""
    role = ctx.session.scalar(
        select(Member.role).where(
            Member.org_id == ctx.org_id, Member.user_id == ctx.user_id, Member.removed_at.is_(None)
        )
    )
    if role is None:
        raise token_invalid()
    return replace(ctx.principal, role=role)


def set_role(ctx: Context, member: Member, role: Role) -> None:
    """Changes the role of a locked member and records it, whoever may."""
    changes = {"role": (member.role, role)}
    member.role = role
    member.touch(ctx.now)
    record(ctx, "member.role_changed", member, changes)


def record(ctx: Context, action: str, member: Member, changes: events.Changes) -> None:
    """An event of a membership; the person finds it among their own activity, too."""
    by = events.Origin(
        ctx.now,
        ctx.org_id,
        ctx.user_id,
        member.account_id,
        ctx.request_id,
        ctx.principal.api_key_id,
    )
    resource = events.Resource("user", member.user_id, member.version)
    events.append(ctx.session, by, action, resource, changes)


def _lock(ctx: Context, user_id: UUID) -> Member | None:
    lock_organisation(ctx)
    return ctx.session.scalar(
        select(Member)
        .where(Member.org_id == ctx.org_id, Member.user_id == user_id)
        # Not FOR UPDATE: whoever writes an issue or comment holds their membership meanwhile.
        .with_for_update(key_share=True)
    )


def _keep_an_owner(ctx: Context, member: Member) -> None:
    """409 when this is the last owner who can log in."""
    if member.role != "owner":
        return
    another = (
        select(Member)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.user_id != member.user_id,
            Member.role == "owner",
            Member.removed_at.is_(None),
            Account.is_active,
        )
    )
    if not ctx.session.scalar(select(exists(another.with_only_columns(Member.user_id)))):
        raise OwnerRequired("Make somebody else an owner first.")
