"""People of an organisation: changing them, writing down those without a login, and linking one of
these to the member who it turned out to be. Memberships end and begin in :mod:`members`."""

from uuid import UUID

from sqlalchemy import exists, func, select, update

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import LinkInvalid, PermissionDenied, UsernameTaken, Violation
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import Account, Comment, Issue, Member, Project
from bugtracker.models.partner import PARTNERS
from bugtracker.queries.people import PEOPLE
from bugtracker.security.authentication import require_session
from bugtracker.security.permissions import authorise, authorise_granting, authorise_over
from bugtracker.security.scoping import lock_organisation, not_found
from bugtracker.services import events, members
from bugtracker.services.members import NOBODY

CREATED = "created"
"""Where people come from whom somebody wrote down."""


def update_user(ctx: Context, user_id: UUID) -> None:
    """Applies a merge patch: another role, as :func:`members.change_role` allows; another name,
    of oneself or of somebody without an account."""
    body = ctx.body
    account = members.lock_account(ctx, user_id) if "name" in body else None
    member = members.lock(ctx, user_id)
    if "name" in body:
        _authorise_naming(ctx, member)
    if "role" in body:
        members.change_role(ctx, member, body["role"])
    else:
        check_if_match(ctx, member, member.user_id)
    if "name" in body:
        _rename(ctx, member, account, body["name"])


def _authorise_naming(ctx: Context, member: Member) -> None:
    if member.user_id == ctx.user_id:
        require_session(ctx.principal)
    elif member.account_id is None:
        caller = members.acting(ctx)
        authorise(caller, "users.update", NOBODY)
        authorise_over(caller, member.role)
    else:
        raise PermissionDenied(_("A name belongs to the account: only the person can change it."))


def _rename(ctx: Context, member: Member, account: Account | None, name: str | None) -> None:
    old = member.imported_name if account is None else account.name
    if name == old:
        return
    if account is None:
        member.imported_name = name
    else:
        account.name = name
        account.touch(ctx.now)
    member.touch(ctx.now)
    members.record(ctx, "user.updated", member, {"name": (old, name)})


def create_user(ctx: Context) -> UUID:
    """Writes somebody down who has no login. 403 above the role the caller may give, 409 for a
    username that somebody in the organisation has."""
    username, name, role = ctx.body["username"], ctx.body.get("name"), ctx.body["role"]
    lock_organisation(ctx)
    authorise_granting(members.acting(ctx), role)
    _require_free(ctx, username)
    member = Member(
        org_id=ctx.org_id,
        user_id=new_id(),
        role=role,
        imported_from=CREATED,
        imported_username=username,
        imported_name=name,
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    ctx.session.add(member)
    changes = events.created(username=username, name=name, role=role)
    members.record(ctx, "user.created", member, changes)
    return member.user_id


def _require_free(ctx: Context, username: str) -> None:
    """Those who left count, too: their names still stand on what they did."""
    same = func.lower(PEOPLE.c.username) == username.lower()
    if ctx.session.scalar(select(exists().where(PEOPLE.c.org_id == ctx.org_id, same))):
        violation = Violation("username_taken", _("is taken"), pointer="/username")
        raise UsernameTaken(_("Somebody in this organisation has it."), errors=[violation])


def link_user(ctx: Context, user_id: UUID) -> UUID:
    """Makes somebody without an account one and the same with a member who has one: what they
    reported, wrote, made and are assigned becomes the member's. Returns the member's id.

    404 for nobody, 403 above the caller's role, 409 for somebody linked already or erased, 422 when
    the one has an account or the other is no member with one.
    """
    lock_organisation(ctx)
    caller = members.acting(ctx)
    authorise(caller, "users.update", NOBODY)
    person = _person(ctx, user_id)
    authorise_over(caller, person.role)
    members.require_somebody(person)
    if person.account_id is not None:
        raise LinkInvalid(_("Somebody with an account is nobody else."))
    if person.imported_from == PARTNERS:
        # The organisation's first events would seem to be the member's.
        raise LinkInvalid(_("A partner system is nobody else."))
    member_id = UUID(ctx.body["user_id"])
    _require_member(ctx, member_id)
    _hand_over(ctx, person.user_id, member_id)
    person.linked_to, person.removed_at = member_id, person.removed_at or ctx.now
    person.touch(ctx.now)
    members.record(ctx, "user.linked", person, events.created(linked_to=member_id))
    return member_id


def _person(ctx: Context, user_id: UUID) -> Member:
    """Not locked: with the organisation locked nobody changes them, and whoever writes an issue
    holds that before they wait for a person."""
    person = ctx.session.get(Member, (ctx.org_id, user_id), populate_existing=True)
    if person is None:
        raise not_found("user")
    return person


def _require_member(ctx: Context, user_id: UUID) -> None:
    found = (
        select(Member.user_id)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.user_id == user_id,
            Member.removed_at.is_(None),
            Account.is_active,
        )
    )
    if ctx.session.scalar(found) is None:
        reason = _("is no member with an account")
        violation = Violation("link_invalid", reason, pointer="/user_id")
        raise LinkInvalid(_("The user_id {reason}.", reason=reason), errors=[violation])


def _hand_over(ctx: Context, old: UUID, new: UUID) -> None:
    """Versions stay: nothing was edited, a name turned out to be another one."""
    for model, column in (
        # The order in which everybody locks rows.
        (Project, Project.created_by_id),
        (Issue, Issue.reporter_id),
        (Issue, Issue.assignee_id),
        (Comment, Comment.author_id),
    ):
        ctx.session.execute(
            update(model)
            .where(model.org_id == ctx.org_id, column == old)
            .values({column: new})
            .execution_options(synchronize_session=False)
        )
