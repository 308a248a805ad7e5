"""Requests to have somebody erased: asking, deciding, taking back. :mod:`erasure` carries them out.

Deciding is one SQL statement that finds the request pending, so it happens once. What it needs to
be true (who the caller is by now, that an owner remains) holds until the commit, because the
organisation is locked, as for every change of a membership; the account before it.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert

from bugtracker.context import Context
from bugtracker.errors import DeletionDecided, DeletionRequested, PermissionDenied
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options
from bugtracker.messages import _
from bugtracker.models import Account, DeletionRequest, Member
from bugtracker.models.deletion import DeletionState
from bugtracker.models.organisation import ROLES
from bugtracker.security.authentication import require_session
from bugtracker.security.permissions import (
    Relations,
    authorise,
    authorise_over,
    grant_of,
    is_above,
    may,
)
from bugtracker.security.scoping import lock_organisation, not_found
from bugtracker.services import events, members

NOBODY = Relations()


def create(ctx: Context, user_id: UUID) -> UUID:
    """Asks that somebody be erased: oneself, or anybody not above a caller who may delete users.

    404 for nobody, 409 for the last owner, for somebody who is or was erased, or was linked.
    """
    lock_organisation(ctx)
    member = _person(ctx, user_id)
    members.keep_an_owner(ctx, member)
    created: DeletionRequest | None = ctx.session.scalar(
        insert(DeletionRequest)
        .values(**fresh(ctx, user_id), state="pending")
        .on_conflict_do_nothing()
        .returning(DeletionRequest)
    )
    if created is None:
        raise DeletionRequested(_("There is a request for this person that waits, or is at work."))
    record(ctx, "deletion.requested", created, {"user_id": (None, user_id)})
    return created.id


def fresh(ctx: Context, user_id: UUID) -> dict[str, Any]:
    """The columns of a new request by the caller, but for its state."""
    return {
        "org_id": ctx.org_id,
        "id": new_id(),
        "user_id": user_id,
        "requested_by_id": ctx.user_id,
        "events_checked": 0,
        "created_at": ctx.now,
        "updated_at": ctx.now,
        "version": 1,
    }


def _person(ctx: Context, user_id: UUID) -> Member:
    """Whom the caller may ask this for; those who left are known to admins and owners only."""
    caller = members.acting(ctx)
    member = ctx.session.get(Member, (ctx.org_id, user_id), populate_existing=True)
    sees_all = may(caller, "users.restore", NOBODY)
    if member is None or not (sees_all or member.removed_at is None):
        raise not_found("user")
    if user_id == ctx.user_id:
        require_session(caller)
    else:
        authorise(caller, "users.delete", NOBODY)
        authorise_over(caller, member.role)
    members.require_somebody(member)
    return member


def approve(ctx: Context, request_id: str) -> None:
    """Ends the membership now, and queues what erases the person.

    403 for somebody above the caller, for the caller's own deletion, and for a request of the
    caller's that somebody else could approve; 409 once decided, and for the last owner.
    """
    request = find(ctx, request_id)
    account = members.lock_account(ctx, request.user_id)
    lock_organisation(ctx)
    member = _decided_on(ctx, request)
    _require_second_person(ctx, request, member)
    decided = _decide(ctx, request.id, "approved")
    if member.removed_at is None:
        members.end(ctx, member)
    if account is not None:
        members.deactivate_after_last(ctx, account)
    record(ctx, "deletion.approved", decided, {"state": ("pending", "approved")})
    queue(ctx, "deletion.announce", decided)


def refuse(ctx: Context, request_id: str) -> None:
    """Leaves the person as they are, and mails them why. 403 and 409 as :func:`approve`."""
    request = find(ctx, request_id)
    lock_organisation(ctx)
    _decided_on(ctx, request)
    decided = _decide(ctx, request.id, "refused")
    record(ctx, "deletion.refused", decided, {"state": ("pending", "refused")})
    queue(ctx, "mail.deletion_refused", decided)


def cancel(ctx: Context, request_id: str) -> None:
    """Takes a request back: whoever made it, or whom it is about. 409 once decided."""
    request = find(ctx, request_id)
    require_session(ctx.principal)
    if ctx.user_id not in (request.user_id, request.requested_by_id):
        raise PermissionDenied(_("Only the person, or whoever asked for it, takes a request back."))
    decided = _decide(ctx, request.id, "cancelled")
    record(ctx, "deletion.cancelled", decided, {"state": ("pending", "cancelled")})


def find(ctx: Context, request_id: str) -> DeletionRequest:
    """A request as it is before anything is locked. 403 for whoever neither decides, nor asked
    for it, nor is whom it is about."""
    found = ctx.session.get(DeletionRequest, (ctx.org_id, UUID(request_id)))
    if found is None:
        raise not_found("deletion request")
    own = ctx.user_id in (found.user_id, found.requested_by_id)
    if not own:
        authorise(ctx.principal, "privacy.approve", NOBODY)
    return found


def _decided_on(ctx: Context, request: DeletionRequest) -> Member:
    """The person, whom the caller may decide about by now."""
    caller = members.acting(ctx)
    authorise(caller, "privacy.approve", NOBODY)
    if request.user_id == ctx.user_id:
        raise PermissionDenied(_("Nobody decides about themselves: cancel it, or ask somebody."))
    member = ctx.session.get_one(
        Member, (ctx.org_id, request.user_id), populate_existing=True, with_for_update=_NOT_KEYS
    )
    authorise_over(caller, member.role)
    return member


# Not FOR UPDATE: whoever writes an issue or comment holds their membership meanwhile.
_NOT_KEYS = {"key_share": True}


def _require_second_person(ctx: Context, request: DeletionRequest, person: Member) -> None:
    """There is no way back, so two people want it, wherever there are two who may."""
    if request.requested_by_id == ctx.user_id and _another_may(ctx, person):
        raise PermissionDenied(_("Somebody else has to approve what you asked for."))


def _another_may(ctx: Context, person: Member) -> bool:
    deciders = [
        role
        for role in ROLES
        if grant_of(role, "privacy.approve") and not is_above(person.role, role)
    ]
    another = (
        select(Member.user_id)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.user_id.not_in([ctx.user_id, person.user_id]),
            Member.role.in_(deciders),
            Member.removed_at.is_(None),
            Account.is_active,
        )
    )
    return bool(ctx.session.scalar(select(exists(another))))


def _decide(ctx: Context, request_id: UUID, state: DeletionState) -> DeletionRequest:
    """The one statement that decides. 409 when somebody else did."""
    decided: DeletionRequest | None = ctx.session.scalar(
        update(DeletionRequest)
        .where(
            DeletionRequest.org_id == ctx.org_id,
            DeletionRequest.id == request_id,
            DeletionRequest.state == "pending",
        )
        .values(
            state=state,
            decided_by_id=ctx.user_id,
            decided_at=ctx.now,
            reason=(ctx.body or {}).get("reason"),
            updated_at=ctx.now,
            version=DeletionRequest.version + 1,
        )
        .returning(DeletionRequest)
        .execution_options(populate_existing=True)
    )
    if decided is None:
        raise DeletionDecided(_("It was approved, refused or cancelled before."))
    return decided


def record(ctx: Context, action: str, request: DeletionRequest, changes: events.Changes) -> None:
    """An event of a request, ids only; the person finds it among their own activity, too."""
    by = replace(events.by_caller(ctx), account_id=request.user_id)
    events.append(ctx.session, by, action, resource(request), changes)


def resource(request: DeletionRequest) -> events.Resource:
    """A request as the subject of an event."""
    return events.Resource("deletion_request", request.id, request.version)


def queue(ctx: Context, task: str, request: DeletionRequest) -> None:
    """A job that mails whom a request is about."""
    ids = {"org_id": request.org_id, "request_id": request.id}
    options = Options(lock=f"deletion:{request.id}")
    ctx.runtime.queue.defer(ctx.session, task, options, language=ctx.language, **ids)
