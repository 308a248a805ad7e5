"""One counter of wrong passwords and codes for each account, whatever they are tried at.

An attempt is reserved before it is evaluated, by one SQL statement on the database's clock: of any
number of parallel attempts no more than ``lockout_attempts`` are evaluated. A success resets the
counter, but a right password alone does not where a second factor is to come. During a lockout the
right password is refused like a wrong one, after the same work; sessions live on. Names that no
account has are counted and locked alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Delete, delete, select, text

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.errors import ServiceUnavailable
from bugtracker.ids import new_id
from bugtracker.models import Account, LoginAttempts, Member
from bugtracker.services import events, whence
from bugtracker.services.credentials import Found

CODE_WEIGHT = 4
"""A wrong code counts as so many wrong passwords: a million codes are soon tried by somebody who
knows the password."""

# A window that is over, and a lockout that is over, begin anew. During a lockout nothing is
# updated, and so no row comes back.
RESERVE = text("""
    INSERT INTO login_attempts AS known (key, attempts, window_ends_at, locked_until)
    VALUES (:key, :weight, now() + make_interval(secs => :window),
            CASE WHEN :most <= :weight THEN now() + make_interval(secs => :lockout) END)
    ON CONFLICT (key) DO UPDATE SET (attempts, window_ends_at, locked_until) = (
        SELECT this.number,
               CASE WHEN this.anew THEN excluded.window_ends_at ELSE known.window_ends_at END,
               CASE WHEN this.number >= :most THEN now() + make_interval(secs => :lockout) END
        FROM (SELECT over.anew,
                     CASE WHEN over.anew THEN 0 ELSE known.attempts END + :weight AS number
              FROM (SELECT known.window_ends_at <= now() OR known.locked_until IS NOT NULL AS anew)
                   over) this
    )
    WHERE known.locked_until IS NULL OR known.locked_until <= now()
    RETURNING window_ends_at, locked_until
""")

# A lockout ends by this only when, without this attempt, there would be none: several right
# passwords in flight would otherwise each let another code be tried.
GIVE_BACK = text("""
    UPDATE login_attempts SET attempts = attempts - :weight,
        locked_until = CASE WHEN attempts - :weight >= :most THEN locked_until END
    WHERE key = :key AND window_ends_at = :window_ends_at AND attempts >= :weight
""")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A place in the counter. Without one (``window_ends_at`` is None) nothing may be evaluated."""

    key: bytes
    window_ends_at: datetime | None
    locks_until: datetime | None
    """Set on the last attempt before a lockout."""
    weight: int

    @property
    def allowed(self) -> bool:
        """Whether the attempt may be evaluated at all."""
        return self.window_ends_at is not None


def check_password(
    ctx: Context, found: Found | None, password: str, *, action: str = "login.failed"
) -> bool:
    """Whether it is the password of an account that may log in. The one way to try a password.

    Slow on purpose: call it before the request has locked anything. After False the refusal
    must commit (``AppError.commits``), because the failure is recorded under ``action``.
    """
    attempt = reserve(ctx, found.id if found else None)
    stored = found.password_hash if found and attempt.allowed else None
    right = evaluate(ctx, attempt, lambda: ctx.runtime.hasher.verify(password, stored))
    if found and right and found.is_active and found.verified_at is not None:
        if found.has_two_factor:
            # Half of the way. Were the counter reset, codes could be tried without end by somebody
            # who knows the password.
            _give_back(ctx, attempt)
        else:
            with ctx.db.read() as connection:
                connection.execute(forget(attempt))
        return True
    record_failure(ctx, attempt, found.id if found else None, action)
    return False


def reserve(ctx: Context, account_id: UUID | None, *, weight: int = 1) -> Attempt:
    """Counts an attempt before it is made. For an unknown account by the name in the body.

    It takes a connection of its own: call it before the request has locked anything.
    """
    settings = ctx.runtime.settings
    key = ctx.runtime.keyring.attempts_key(_who(ctx, account_id))
    values = {
        "key": key,
        "weight": weight,
        "most": settings.lockout_attempts,
        "window": settings.lockout_window_seconds,
        "lockout": settings.lockout_seconds,
    }
    # Committed at once, outside the request's transaction: parallel attempts must see it.
    with ctx.db.read() as connection:
        row = connection.execute(RESERVE, values).one_or_none()
    return (
        Attempt(key, None, None, weight)
        if row is None
        else Attempt(key, row.window_ends_at, row.locked_until, weight)
    )


def _who(ctx: Context, account_id: UUID | None) -> str:
    if account_id is not None:
        return f"account:{account_id}"
    field = "email" if "email" in ctx.body else "username"
    return f"{field}:{ctx.body[field].lower()}"


def evaluate(ctx: Context, attempt: Attempt, check: Callable[[], bool]) -> bool:
    """What the check says. One that could not be made, because the server is busy, counts not."""
    try:
        return check()
    except ServiceUnavailable:
        if attempt.allowed:
            _give_back(ctx, attempt)
        raise


def _give_back(ctx: Context, attempt: Attempt) -> None:
    values = {
        "key": attempt.key,
        "weight": attempt.weight,
        "most": ctx.runtime.settings.lockout_attempts,
        "window_ends_at": attempt.window_ends_at,
    }
    with ctx.db.read() as connection:
        connection.execute(GIVE_BACK, values)


def forget(attempt: Attempt) -> Delete:
    """The statement that forgets, after a success, what was tried before."""
    return delete(LoginAttempts).where(LoginAttempts.key == attempt.key)


def record_failure(ctx: Context, attempt: Attempt, account_id: UUID | None, action: str) -> None:
    """The events of a failure. Where there are none, for an unknown account or during a lockout,
    the same steps are undone: the time that the answer takes must not tell."""
    who = account_id or new_id()
    with ctx.session.begin_nested() as steps:
        enter_tenant(ctx.session, None, who)
        org_id = _last_organisation(ctx, who)
        enter_tenant(ctx.session, org_id, who)
        # Nobody knows who it was.
        origin = events.Origin(ctx.now, org_id, None, who, ctx.request_id)
        account = events.Resource("user", who)
        events.append(ctx.session, origin, action, account, whence.told(ctx))
        if attempt.locks_until is not None:
            changes = events.created(locked_until=attempt.locks_until)
            events.append(ctx.session, origin, "account.locked", account, changes)
        if account_id is None or not attempt.allowed:
            steps.rollback()


def _last_organisation(ctx: Context, account_id: UUID) -> UUID | None:
    """Where the account logged in last, if it is still there."""
    return ctx.session.scalar(
        select(Member.org_id)
        .join(Account, Account.last_org_id == Member.org_id)
        .where(
            Account.id == account_id,
            Member.account_id == account_id,
            Member.removed_at.is_(None),
        )
    )
