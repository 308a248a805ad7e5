"""Proving again who one is, before something is changed that a thief of a session would change."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.errors import CurrentPasswordWrong, TwoFactorCodeWrong, Violation
from bugtracker.messages import _
from bugtracker.models import Account, Credential, Session
from bugtracker.security.authentication import token_invalid
from bugtracker.services import attempts, credentials, second_factor
from bugtracker.services.attempts import CODE_WEIGHT, Attempt
from bugtracker.services.credentials import Found

WRONG_PASSWORD = "password.check_failed"  # noqa: S105 - the name of an event
WRONG_CODE = "two_factor.check_failed"

Locked = tuple[Account, Credential]


def find_own(ctx: Context) -> Found:
    """The caller's account and password. 401 when the account is gone."""
    found = credentials.find_own(ctx)
    if found is None:
        raise token_invalid()
    return found


def require_password(ctx: Context, found: Found, field: str = "password") -> None:
    """422 unless this field of the body is the caller's password.

    Slow on purpose: call it before the request's transaction has begun.
    """
    if not attempts.check_password(ctx, found, ctx.body[field], action=WRONG_PASSWORD):
        raise _password_wrong(field)


def require(ctx: Context, field: str = "password") -> None:
    """422 unless this field of the body is the caller's password, and 401 when their session
    ended meanwhile. Slow on purpose: call it before the request's transaction has begun."""
    require_password(ctx, find_own(ctx), field)
    require_live(ctx)


def lock(ctx: Context, found: Found, field: str = "password") -> Locked:
    """The caller's account and credential, locked. Checking the password took a while: refuses
    when meanwhile it was changed, or the session ended."""
    locked = credentials.lock_unchanged(ctx, found)
    require_live(ctx)
    if locked is None:
        raise _password_wrong(field)
    return locked


def require_password_and_code(ctx: Context, found: Found) -> Locked:
    """422 unless ``password`` and ``code`` of the body are the caller's; the code is used up.
    Returns their account and credential, locked."""
    attempt = attempts.reserve(ctx, found.id, weight=CODE_WEIGHT)
    stored = found.password_hash if attempt.allowed else None
    hasher, password = ctx.runtime.hasher, ctx.body["password"]
    if not attempts.evaluate(ctx, attempt, lambda: hasher.verify(password, stored)):
        attempts.record_failure(ctx, attempt, found.id, WRONG_PASSWORD)
        raise _password_wrong("password")
    locked = lock(ctx, found)
    require_code(ctx, attempt, found.id)
    return locked


def require_code(ctx: Context, attempt: Attempt, account_id: UUID) -> None:
    """422 unless ``code`` of the body is one of the account's second factor; it is used up."""
    if second_factor.accept(ctx, attempt, account_id, ctx.body["code"], WRONG_CODE) is None:
        raise code_wrong()


def require_live(ctx: Context) -> None:
    """401 when the caller's session ended while the password was checked."""
    live = select(Session.id).where(
        Session.id == ctx.principal.session_id, Session.revoked_at.is_(None)
    )
    # Whoever ends it waits, and then finds our change done; or we find it ended.
    if ctx.session.scalar(live.with_for_update(key_share=True)) is None:
        raise token_invalid()


def _password_wrong(field: str) -> CurrentPasswordWrong:
    violation = Violation(field, _("is not your password"), pointer=f"/{field}")
    return CurrentPasswordWrong(_("Give the password you log in with now."), errors=[violation])


def code_wrong() -> TwoFactorCodeWrong:
    """The refusal of a code of the caller's own second factor."""
    violation = Violation("code", _("is wrong, too old or used already"), pointer="/code")
    return TwoFactorCodeWrong(
        _("Send the code that your authenticator shows now, or a backup code you have not used."),
        errors=[violation],
    )
