"""Inviting people by mail: sending, sending again, taking back. Accepting is in :mod:`joining`."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import InvitationPending, MemberExists, Violation
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options, Queue
from bugtracker.messages import _
from bugtracker.models import Account, Invitation, Member
from bugtracker.runtime import Runtime
from bugtracker.security.permissions import authorise_granting
from bugtracker.security.scoping import lock_organisation, not_found
from bugtracker.services import events, members


def create_invitation(ctx: Context) -> Invitation:
    """Invites an address. 403 above the role the caller may give; 409 for a member, and for an
    address with an open invitation."""
    email, role = ctx.body["email"], ctx.body["role"]
    lock_organisation(ctx)
    authorise_granting(members.acting(ctx), role)
    _require_new(ctx, email)
    invitation = Invitation(
        org_id=ctx.org_id,
        id=new_id(),
        email=email,
        role=role,
        invited_by_id=ctx.user_id,
        expires_at=_end(ctx),
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    ctx.session.add(invitation)
    changes = events.created(email=email, role=role)
    events.record(ctx, "invitation.created", resource(invitation), changes)
    queue_invitation(ctx.runtime.queue, ctx.session, invitation, ctx.language)
    return invitation


def _require_new(ctx: Context, email: str) -> None:
    """With the organisation locked nobody joins and nobody else invites meanwhile."""
    member = (
        select(Member.user_id)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.removed_at.is_(None),
            func.lower(Account.email) == email.lower(),
        )
    )
    if ctx.session.scalar(member) is not None:
        violation = Violation("member_exists", _("is a member's"), pointer="/email")
        raise MemberExists(_("Change the member's role instead."), errors=[violation])
    invited = select(Invitation.id).where(
        Invitation.org_id == ctx.org_id,
        func.lower(Invitation.email) == email.lower(),
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    if ctx.session.scalar(invited) is not None:
        violation = Violation("invitation_pending", _("is invited already"), pointer="/email")
        raise InvitationPending(
            _("Resend that invitation, or revoke it first."), errors=[violation]
        )


def _end(ctx: Context) -> datetime:
    return ctx.now + timedelta(seconds=ctx.runtime.settings.invitation_seconds)


def queue_invitation(queue: Queue, session: Session, invitation: Invitation, language: str) -> None:
    """Queues the mail with the link, unless it waits already; ``language`` is for people who have
    set none."""
    waiting = Options(queueing_lock=f"invitation:{invitation.id}")
    ids = {"org_id": invitation.org_id, "invitation_id": invitation.id}
    queue.defer(session, "mail.invitation", waiting, language=language, **ids)


def resource(invitation: Invitation) -> events.Resource:
    """An invitation as the subject of an event."""
    return events.Resource("invitation", invitation.id, invitation.version)


def resend_invitation(ctx: Context, invitation_id: str) -> Invitation:
    """Mails a new link for an open invitation; the old one is worthless, and the time to accept
    begins anew. The caller answers for it from now on."""
    invitation = _lock(ctx, invitation_id)
    invitation.require_open()
    renew(ctx.runtime, ctx.session, invitation, events.by_caller(ctx), ctx.language)
    return invitation


def renew(
    runtime: Runtime, session: Session, invitation: Invitation, by: events.Origin, language: str
) -> None:
    """Mails a new link for a locked, open invitation, which is of whoever does this from now on."""
    if by.actor_id is None:
        raise ValueError("somebody has to answer for an invitation")
    ends = by.now + timedelta(seconds=runtime.settings.invitation_seconds)
    changes = {"expires_at": (invitation.expires_at, ends)}
    invitation.expires_at, invitation.token_hash = ends, None
    invitation.invited_by_id = by.actor_id
    invitation.touch(by.now)
    events.append(session, by, "invitation.resent", resource(invitation), changes)
    queue_invitation(runtime.queue, session, invitation, language)


def revoke_invitation(ctx: Context, invitation_id: str) -> None:
    """Takes an invitation back; again is no change. 409 once it was accepted."""
    invitation = _lock(ctx, invitation_id)
    check_if_match(ctx, invitation, invitation.id)
    if invitation.revoked_at is not None:
        return
    invitation.require_open()
    invitation.revoke(ctx.now)
    changes = {"revoked": (False, True)}
    events.record(ctx, "invitation.revoked", resource(invitation), changes)


def _lock(ctx: Context, invitation_id: str) -> Invitation:
    """The invitation, locked. 404 when there is none, 403 above the role the caller may give."""
    lock_organisation(ctx)
    invitation = ctx.session.scalar(
        select(Invitation)
        .where(Invitation.org_id == ctx.org_id, Invitation.id == UUID(invitation_id))
        .with_for_update()
    )
    if invitation is None:
        raise not_found("invitation")
    authorise_granting(members.acting(ctx), invitation.role)
    return invitation
