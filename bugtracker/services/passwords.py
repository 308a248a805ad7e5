"""Changing a password, and setting a forgotten one anew by mail."""

from uuid import UUID

from bugtracker.context import Context
from bugtracker.errors import ResetTokenInvalid, Violation
from bugtracker.mail.queueing import queue_mail
from bugtracker.messages import _
from bugtracker.models import Account
from bugtracker.security.one_time_tokens import RESET, redeem
from bugtracker.services import accounts, credentials, events, reauthentication, revocation
from bugtracker.services.credentials import Found
from bugtracker.services.reauthentication import Locked


def change_password(ctx: Context) -> None:
    """A new password for the caller; all other sessions end. 422 when the current one is wrong."""
    found, password = reauthentication.find_own(ctx), ctx.body["new_password"]
    _require_strong(ctx, found, password)
    # Slow on purpose, and therefore before this request holds a connection.
    reauthentication.require_password(ctx, found, "current_password")
    password_hash = ctx.runtime.hasher.hash(password)
    locked = reauthentication.lock(ctx, found, "current_password")
    kept, org_id = ctx.principal.session_id, ctx.principal.org_id
    _set(ctx, locked, password_hash, "password.changed", keep=kept, org_id=org_id)


def _require_strong(ctx: Context, found: Found, password: str) -> None:
    ctx.runtime.policy.require_strong(
        password, username=found.username, email=found.email, pointer="/new_password"
    )


def _set(
    ctx: Context,
    locked: Locked,
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
    queue_mail(ctx, "password_changed", account_id=account.id)


def request_reset(ctx: Context) -> None:
    """Queues the mail with the link."""
    accounts.queue_link(ctx, RESET)


def reset_password(ctx: Context) -> Account:
    """Redeems a mailed token, once: a new password, and every session of the account ends.

    Nobody is logged in by it. 422 for a token that is not live (any more).
    """
    token = ctx.body["token"]
    found = credentials.find_by_token(ctx, token, RESET)
    if found is None:
        raise _link_invalid()
    _require_strong(ctx, found, ctx.body["new_password"])
    # Slow on purpose, and therefore before this request holds a connection.
    password_hash = ctx.runtime.hasher.hash(ctx.body["new_password"])
    # The account before its token, as mailing does.
    locked = credentials.lock_verified(ctx, found)
    if locked is None or redeem(ctx.session, token, RESET, ctx.now) is None:
        raise _link_invalid()
    _set(ctx, locked, password_hash, "password.reset")
    return locked[0]


def _link_invalid() -> ResetTokenInvalid:
    violation = Violation("token", _("is unknown, used or expired"), pointer="/token")
    return ResetTokenInvalid(_("Ask for another mail to get a new link."), errors=[violation])
