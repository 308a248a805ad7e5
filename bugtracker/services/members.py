"""The one place where memberships change: roles, leaving, removing, coming back.

Each change first locks the organisation's row, so they happen one after the other: what is decided
here (what the caller's role is by now, whether an owner remains) stays true until the commit. A
session's role is read with every request, so all of it bites at the person's next one; what they
reported, wrote or were assigned stays theirs.

The account belongs to the person. Only when somebody else ends the last membership it is disabled,
until one is restored or an invitation accepted. Whoever does either locks the account before the
organisation, and whether other organisations are left is asked with the account locked.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import OwnerRequired, UserErased, UserLinked
from bugtracker.messages import _
from bugtracker.models import Account, Member
from bugtracker.models.organisation import Role
from bugtracker.security.authentication import require_session, token_invalid
from bugtracker.security.permissions import Relations, authorise, authorise_granting, authorise_over
from bugtracker.security.principal import Principal
from bugtracker.security.scoping import lock_organisation, not_found
from bugtracker.services import events, leaving, organisations, revocation

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
    keep_an_owner(ctx, member)
    set_role(ctx, member, role)


def remove(ctx: Context, user_id: UUID) -> Member:
    """Ends a membership: one's own, which everybody with a session may, or another's; API keys and
    unused invitations end with it. 404, 403, 409 and 412 as :func:`change_role`."""
    account = lock_account(ctx, user_id)
    member = lock(ctx, user_id)
    if user_id == ctx.user_id:
        # A key could be given too little to remove anybody, and would make its maker leave.
        require_session(ctx.principal)
    else:
        _authorised(ctx, "users.delete", member)
    check_if_match(ctx, member, member.user_id)
    end(ctx, member)
    if account is not None and user_id != ctx.user_id:
        deactivate_after_last(ctx, account)
    return member


def end(ctx: Context, member: Member) -> None:
    """Ends a locked membership, whoever may; 409 for the last owner."""
    keep_an_owner(ctx, member)
    member.removed_at = ctx.now
    member.touch(ctx.now)
    record(ctx, "member.removed", member, {"removed": (False, True)})
    leaving.take_along(ctx, member)


def restore(ctx: Context, user_id: UUID) -> Member:
    """Takes somebody who was removed back, in the role they had; who was not is no change.

    404 for whoever never was a member, 403 above the role that the caller may give, 409 for
    somebody who was linked to another member, or erased.
    """
    account = lock_account(ctx, user_id)
    member = _lock(ctx, user_id)
    if member is None:
        raise not_found("member")
    caller = acting(ctx)
    authorise(caller, "users.restore", NOBODY)
    authorise_granting(caller, member.role)
    require_somebody(member)
    if member.removed_at is not None:
        member.removed_at = None
        member.touch(ctx.now)
        record(ctx, "member.restored", member, {"removed": (True, False)})
        if account is not None:
            _reactivate(account, ctx.now)
    return member


def require_somebody(person: Member) -> None:
    """409 for somebody who turned out to be another member, or was erased."""
    if person.linked_to is not None:
        raise UserLinked(_("This person is the member {id}.", id=person.linked_to))
    if person.is_erased:
        raise UserErased(_("Nothing is known of this person any more."))


def lock_account(ctx: Context, user_id: UUID) -> Account | None:
    """The account behind a member of the caller's organisation, present or past, locked; to be
    called before the organisation is. FOR UPDATE, so that nobody joins anything meanwhile."""
    return ctx.session.scalar(
        select(Account)
        .join(Member, Member.account_id == Account.id)
        .where(Member.org_id == ctx.org_id, Member.user_id == user_id)
        .with_for_update(of=Account)
        .execution_options(populate_existing=True)
    )


def deactivate_after_last(ctx: Context, account: Account) -> None:
    """Disables a locked account that is in no organisation any more, and ends its sessions: taken
    back, the person logs in again, and no token somebody may have got hold of lives on."""
    if account.is_active and not ctx.session.scalar(select(func.is_member_anywhere(account.id))):
        account.is_active, account.deactivated_by_removal = False, True
        account.touch(ctx.now)
        revocation.end_all(ctx, account.id, "removed")


def _reactivate(account: Account, now: datetime) -> None:
    if account.deactivated_by_removal:
        account.is_active, account.deactivated_by_removal = True, False
        account.touch(now)


def _authorised(ctx: Context, permission: str, member: Member) -> Principal:
    """The caller, who may do this to the member: nobody above them."""
    caller = acting(ctx)
    authorise(caller, permission, NOBODY)
    authorise_over(caller, member.role)
    return caller


def join(ctx: Context, org_id: UUID, account: Account, role: Role) -> Role:
    """Makes a locked account a member of the organisation that is locked and the transaction is
    in, or takes it back. Returns the role it has now: a present member keeps theirs."""
    account_id = account.id
    _reactivate(account, ctx.now)
    member = ctx.session.get(Member, (org_id, account_id), with_for_update={"key_share": True})
    if member is not None and member.removed_at is None:
        return member.role
    by = events.Origin(ctx.now, org_id, account_id, account_id, ctx.request_id)
    if member is None:
        organisations.add_member(ctx.session, org_id, account_id, role, by)
        return role
    changes = {"removed": (True, False), "role": (member.role, role)}
    member.removed_at, member.role = None, role
    member.belongs_to(account_id)
    member.touch(ctx.now)
    resource = events.Resource("user", account_id, member.version)
    events.append(ctx.session, by, "member.restored", resource, changes)
    return role


def note_login(session: Session, org_id: UUID, account_id: UUID, now: datetime) -> None:
    """Counts a login into the organisation that the transaction is in. No change of the member:
    no version, no event of its own."""
    session.execute(
        update(Member)
        .where(Member.org_id == org_id, Member.user_id == account_id)
        .values(
            # Who waited for another login may have begun before it.
            last_login=func.greatest(Member.last_login, now),
            login_count=Member.login_count + 1,
        )
    )


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
    by = replace(events.by_caller(ctx), account_id=member.account_id)
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


def keep_an_owner(ctx: Context, member: Member) -> None:
    """409 when this is the last owner who can log in."""
    if is_last_owner(ctx, member):
        raise OwnerRequired(_("Make somebody else an owner first."))


def is_last_owner(ctx: Context, member: Member) -> bool:
    """Whether no other owner of the organisation can log in."""
    if member.role != "owner" or member.removed_at is not None:
        return False
    another = (
        select(Member.user_id)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.user_id != member.user_id,
            Member.role == "owner",
            Member.removed_at.is_(None),
            Account.is_active,
        )
    )
    return not ctx.session.scalar(select(exists(another)))
