"""Ending sessions. Their tokens are refused from the next request on, whatever they say."""

from uuid import UUID

from sqlalchemy import select, update

from bugtracker.context import Context
from bugtracker.models import Account, Session
from bugtracker.security.scoping import not_found
from bugtracker.services import events


def end(ctx: Context, session_id: UUID, reason: str, action: str) -> bool:
    """Ends a session once; False when it had ended before."""
    row = ctx.session.execute(
        update(Session)
        .where(Session.id == session_id, Session.revoked_at.is_(None))
        .values(revoked_at=ctx.now, revoked_reason=reason)
        .returning(Session.account_id, Session.org_id)
    ).one_or_none()
    if row is None:
        return False
    events.record_for_account(
        ctx,
        action,
        events.Resource("session", session_id),
        {"revoked_reason": (None, reason)},
        account_id=row.account_id,
        org_id=row.org_id,
    )
    return True


def end_own(ctx: Context, session_id: UUID) -> None:
    """Ends a live session of the caller. 404 for any other, also for one that ended meanwhile."""
    own = ctx.session.scalar(
        select(Session.id).where(
            Session.id == session_id,
            Session.account_id == ctx.user_id,
            Session.expires_at > ctx.now,
        )
    )
    if own is None or not end(ctx, session_id, "revoked", "session.ended"):
        raise not_found("session")


def log_out_everywhere(ctx: Context) -> None:
    """Ends all sessions of the caller, this one included."""
    # One at a time: two of these would lock the sessions in different orders.
    ctx.session.execute(
        select(Account.id).where(Account.id == ctx.user_id).with_for_update(key_share=True)
    )
    ended = end_all(ctx, ctx.user_id, "logout_all")
    events.record_for_account(
        ctx,
        "session.all_ended",
        events.Resource("user", ctx.user_id),
        {"sessions_ended": (None, ended)},
        account_id=ctx.user_id,
        org_id=ctx.principal.org_id,
    )


def end_all(ctx: Context, account_id: UUID, reason: str, *, but: UUID | None = None) -> int:
    """Ends the sessions of an account that the caller has locked; returns how many lived.

    With the account locked no login is half done: it has started its session or finds the change.
    """
    statement = update(Session).where(
        Session.account_id == account_id, Session.revoked_at.is_(None), Session.expires_at > ctx.now
    )
    if but is not None:
        statement = statement.where(Session.id != but)
    ended = ctx.session.execute(
        statement.values(revoked_at=ctx.now, revoked_reason=reason).returning(Session.id)
    )
    return len(ended.all())
