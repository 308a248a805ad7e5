"""Closing one's own account: the person leaves every organisation, is erased from each of them, and
the account goes. Nobody has to approve it; a job does it once this has committed."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.errors import OwnerRequired, Violation
from bugtracker.messages import _
from bugtracker.models import Account, DeletionRequest, Member, Organisation
from bugtracker.security.authentication import token_invalid
from bugtracker.security.scoping import lock_organisation
from bugtracker.services import deletions, events, members, reauthentication, revocation


@dataclass(frozen=True, slots=True)
class Place:
    """An organisation that the caller is or was in, locked, and the request from there."""

    ctx: Context
    organisation: Organisation
    member: Member


def delete_account(ctx: Context) -> None:
    """Ends all sessions and memberships of the caller for good, and queues the erasure.

    422 for a wrong password, or code where there is a second factor; 409 while the caller is the
    last owner of an organisation, naming all of these.
    """
    _prove(ctx)
    account = _lock(ctx)
    places = _places(ctx)
    _require_other_owners(places)
    for place in places:
        _leave(place)
    enter_tenant(ctx.session, None, account.id)
    account.is_active, account.deactivated_by_removal = False, False
    account.erasing_since = ctx.now
    account.touch(ctx.now)
    revocation.end_all(ctx, account.id, "account_deleted")
    resource = events.Resource("user", account.id, account.version)
    by = events.Origin(ctx.now, None, account.id, account.id, ctx.request_id)
    events.append(ctx.session, by, "user.deleted", resource, {})
    ctx.runtime.queue.defer(
        ctx.session, "account.announce", language=ctx.language, account_id=account.id
    )


def _prove(ctx: Context) -> None:
    """Slow on purpose, and before the request's transaction has begun."""
    found = reauthentication.find_own(ctx)
    if not found.has_two_factor:
        reauthentication.require_password(ctx, found)
        reauthentication.lock(ctx, found)
    elif "code" in ctx.body:
        reauthentication.require_password_and_code(ctx, found)
    else:
        raise reauthentication.code_wrong()


def _lock(ctx: Context) -> Account:
    """FOR UPDATE, so that the account joins nothing meanwhile."""
    account = ctx.session.scalar(select(Account).where(Account.id == ctx.user_id).with_for_update())
    if account is None:
        raise token_invalid()
    return account


def _places(ctx: Context) -> list[Place]:
    """In the order of ids: everybody who locks several organisations does so."""
    mine = select(Member.org_id, Member.role).where(Member.account_id == ctx.user_id)
    enter_tenant(ctx.session, None, ctx.user_id)
    places = []
    for org_id, role in ctx.session.execute(mine.order_by(Member.org_id)).all():
        there = ctx.within(org_id, role)
        organisation = lock_organisation(there)
        member = there.session.get_one(
            Member,
            (org_id, ctx.user_id),
            populate_existing=True,
            with_for_update={"key_share": True},
        )
        places.append(Place(there, organisation, member))
    return places


def _require_other_owners(places: list[Place]) -> None:
    alone = []
    for place in places:
        _enter(place)
        if members.is_last_owner(place.ctx, place.member):
            detail = _("{slug} has no other owner", slug=place.organisation.slug)
            alone.append(Violation("owner_required", detail))
    if alone:
        raise OwnerRequired(_("Make somebody else an owner first."), errors=alone)


def _enter(place: Place) -> None:
    enter_tenant(place.ctx.session, place.organisation.id, place.member.user_id)


def _leave(place: Place) -> None:
    _enter(place)
    request = _approved(place.ctx, place.member.user_id)
    if request is not None:
        changes = {"user_id": (None, request.user_id), "state": (None, "approved")}
        deletions.record(place.ctx, "deletion.approved", request, changes)
    if place.member.removed_at is None:
        members.end(place.ctx, place.member)


def _approved(ctx: Context, user_id: UUID) -> DeletionRequest | None:
    """The request that waits, approved, or a new one; None where one is being carried out."""
    decision = {"state": "approved", "decided_by_id": user_id, "decided_at": ctx.now}
    waiting: DeletionRequest | None = ctx.session.scalar(
        update(DeletionRequest)
        .where(
            DeletionRequest.org_id == ctx.org_id,
            DeletionRequest.user_id == user_id,
            DeletionRequest.state == "pending",
        )
        .values(**decision, updated_at=ctx.now, version=DeletionRequest.version + 1)
        .returning(DeletionRequest)
    )
    if waiting is not None:
        return waiting
    made: DeletionRequest | None = ctx.session.scalar(
        insert(DeletionRequest)
        .values(**deletions.fresh(ctx, user_id), **decision)
        .on_conflict_do_nothing()
        .returning(DeletionRequest)
    )
    return made
