"""Codes of the second factor: tried, and used up by the statement that accepts them."""

from typing import Literal
from uuid import UUID

from sqlalchemy import Exists, exists, select, update

from bugtracker.context import Context
from bugtracker.mail.queueing import queue_mail
from bugtracker.models import BackupCode, TwoFactor
from bugtracker.models.two_factor import seed_place
from bugtracker.security import totp
from bugtracker.services import attempts
from bugtracker.services.attempts import Attempt

Kind = Literal["authenticator", "backup_code"]


def is_on(ctx: Context, account_id: UUID) -> bool:
    """Whether the account has a second factor. Ask with the account locked: it stays so."""
    return bool(ctx.session.scalar(select(_is_confirmed(account_id))))


def _is_confirmed(account_id: UUID) -> Exists:
    return exists().where(TwoFactor.account_id == account_id, TwoFactor.confirmed_at.is_not(None))


def accept(ctx: Context, attempt: Attempt, account_id: UUID, code: str, action: str) -> Kind | None:
    """Which kind of code of the account it is, used up by this; None when it is none. The one way
    to try a code.

    A success resets the counter of attempts. After None the refusal must commit
    (``AppError.commits``), because the failure is recorded under ``action``.
    """
    accepted = _use_up(ctx, account_id, code) if attempt.allowed else None
    if accepted is None:
        attempts.record_failure(ctx, attempt, account_id, action)
    else:
        ctx.session.execute(attempts.forget(attempt))
    return accepted


def _use_up(ctx: Context, account_id: UUID, code: str) -> Kind | None:
    if totp.is_backup_code(code):
        return "backup_code" if _use_backup_code(ctx, account_id, code) else None
    return "authenticator" if _use_step(ctx, account_id, code) else None


def _use_step(ctx: Context, account_id: UUID, code: str) -> bool:
    """Accepts a step once, and after it none before it: of two at once the second finds it used."""
    factor = (TwoFactor.account_id == account_id, TwoFactor.confirmed_at.is_not(None))
    sealed = ctx.session.scalar(select(TwoFactor.seed_encrypted).where(*factor))
    step = None if sealed is None else step_of_code(ctx, account_id, sealed, code)
    if step is None:
        return False
    accepted = ctx.session.scalar(
        update(TwoFactor)
        .where(*factor, TwoFactor.last_step < step)
        .values(last_step=step)
        .returning(TwoFactor.account_id)
    )
    return accepted is not None


def step_of_code(ctx: Context, account_id: UUID, sealed: bytes, code: str) -> int | None:
    """The step that the code belongs to by an encrypted seed; None when it is another's."""
    seed = ctx.runtime.keyring.decrypt(sealed, seed_place(account_id))
    return totp.matching_step(seed, code, ctx.now)


def _use_backup_code(ctx: Context, account_id: UUID, code: str) -> bool:
    used = ctx.session.scalar(
        update(BackupCode)
        .where(
            BackupCode.account_id == account_id,
            BackupCode.code_hash == totp.backup_code_hash(account_id, code),
            BackupCode.used_at.is_(None),
            _is_confirmed(account_id),
        )
        .values(used_at=ctx.now)
        .returning(BackupCode.account_id)
    )
    if used is None:
        return False
    tell(ctx, account_id, "backup_code_used")
    return True


def tell(ctx: Context, account_id: UUID, change: str) -> None:
    """Queues the mail that says what happened to the second factor: it may not have been them."""
    queue_mail(ctx, "two_factor_changed", account_id=account_id, change=change)
