"""Changing a password, and setting a forgotten one anew by mail."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.errors import CurrentPasswordWrong, ResetTokenInvalid, Violation
from bugtracker.jobs.queue import Options
from bugtracker.models import Account, Credential, Session
from bugtracker.security.authentication import token_invalid
from bugtracker.security.secrets import token_hash
from bugtracker.services import accounts, attempts, credentials, events, revocation
from bugtracker.services.credentials import RESET, Found


def change_password(ctx: Context) -> None:
    """A new password for the caller; all other sessions end. 422 when the current one is wrong."""
    body, found = ctx.body, credentials.find_own(ctx)
    if found is None:
        raise token_invalid()
    _require_strong(ctx, found, body["new_password"])
    # Slow on purpose, and therefore before this request holds a connection.
    wrong = "password.check_failed"
    if not attempts.check_password(ctx, found, body["current_password"], action=wrong):
        raise _current_password_wrong()
    password_hash = ctx.runtime.hasher.hash(body["new_password"])
    locked = credentials.lock_unchanged(ctx, found)
    _require_live(ctx)
    if locked is None:
        raise _current_password_wrong()
    kept, org_id = ctx.principal.session_id, ctx.principal.org_id
    _set(ctx, locked, password_hash, "password.changed", keep=kept, org_id=org_id)


def _require_strong(ctx: Context, found: Found, password: str) -> None:
    ctx.runtime.policy.require_strong(
        password, username=found.username, email=found.email, pointer="/new_password"
    )


def _current_password_wrong() -> CurrentPasswordWrong:
    violation = Violation("current_password", "is not your password", pointer="/current_password")
    return CurrentPasswordWrong("Give the password you log in with now.", errors=[violation])


def _require_live(ctx: Context) -> None:
    """401 when the caller's session ended while the password was checked."""
    live = select(Session.id).where(
        Session.id == ctx.principal.session_id, Session.revoked_at.is_(None)
    )
    # Whoever ends it waits, and then finds the password changed; or we find it ended.
    if ctx.session.scalar(live.with_for_update(key_share=True)) is None:
        raise token_invalid()


def _set(
    ctx: Context,
    locked: tuple[Account, Credential],
    password_hash: str,
    action: str,
    *,
    keep: UUID | None = None,
    org_id: UUID | None = None,
) -> None:
    account, credential = locked
    credentials.set_password(ctx, credential, password_hash)
    ended = revocation.end_all(ctx, account.id, "password_changed", but=keep)
    events.record_for_account(
        ctx,
        action,
        events.Resource("user", account.id),
        {"sessions_ended": (None, ended)},
        account_id=account.id,
        org_id=org_id,
    )
    ctx.runtime.queue.defer(ctx.session, "mail.password_changed", account_id=account.id)


def request_reset(ctx: Context) -> None:
    """Queues the mail with the link. Does the same for whoever has no account: the job that looks
    for their stand-in finds nobody."""
    email = ctx.body["email"]
    account_id = accounts.find_account(ctx.session, email) or accounts.stand_in(ctx, email)
    waiting = Options(queueing_lock=f"{RESET}:{account_id}")
    ctx.runtime.queue.defer(ctx.session, "mail.reset_password", waiting, account_id=account_id)


def reset_password(ctx: Context) -> Account:
    """Redeems a mailed token, once: a new password, and every session of the account ends.

    Nobody is logged in by it. 422 for a token that is not live (any more).
    """
    hashed = token_hash(ctx.body["token"])
    found = credentials.find_by_token(ctx, hashed, RESET)
    if found is None:
        raise _link_invalid()
    _require_strong(ctx, found, ctx.body["new_password"])
    # Slow on purpose, and therefore before this request holds a connection.
    password_hash = ctx.runtime.hasher.hash(ctx.body["new_password"])
    # The account before its token, as mailing does.
    locked = credentials.lock_verified(ctx, found)
    if locked is None or credentials.redeem(ctx, hashed, RESET) is None:
        raise _link_invalid()
    _set(ctx, locked, password_hash, "password.reset")
    return locked[0]


def _link_invalid() -> ResetTokenInvalid:
    violation = Violation("token", "is unknown, used or expired", pointer="/token")
    return ResetTokenInvalid("Ask for another mail to get a new link.", errors=[violation])
