"""The second factor of the caller: enrolled, confirmed, switched off; its backup codes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from bugtracker.context import Context
from bugtracker.errors import TwoFactorEnabled, TwoFactorNotEnabled, TwoFactorNotEnrolled
from bugtracker.messages import _
from bugtracker.models import Account, BackupCode, TwoFactor
from bugtracker.models.two_factor import seed_place
from bugtracker.security import one_time_tokens, totp
from bugtracker.security.authentication import token_invalid
from bugtracker.security.one_time_tokens import CHALLENGE
from bugtracker.services import (
    attempts,
    credentials,
    events,
    reauthentication,
    revocation,
    second_factor,
)


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app needs, for ``expires_in`` seconds; shown this once."""

    secret: str
    provisioning_uri: str
    qr_code: str
    expires_in: int


def enrol(ctx: Context) -> Enrolment:
    """A new seed, in force once confirmed; an earlier unconfirmed one is replaced. 409 when the
    account has a second factor already."""
    found = reauthentication.find_own(ctx)
    if found.has_two_factor:
        raise _enabled()
    reauthentication.require_password(ctx, found)
    account, _ = reauthentication.lock(ctx, found)
    seed = totp.new_seed()
    _store(ctx, account.id, seed)
    _record(ctx, account, "two_factor.enrolled", {})
    uri = totp.provisioning_uri(seed, account.email)
    lifetime = ctx.runtime.settings.two_factor_enrolment_seconds
    return Enrolment(totp.seed_text(seed), uri, totp.qr_code(uri), lifetime)


def _store(ctx: Context, account_id: UUID, seed: bytes) -> None:
    values = {
        "session_id": ctx.principal.session_id,
        "seed_encrypted": ctx.runtime.keyring.encrypt(seed, seed_place(account_id)),
        "last_step": 0,
        "created_at": ctx.now,
    }
    stored = ctx.session.scalar(
        insert(TwoFactor)
        .values(account_id=account_id, **values)
        .on_conflict_do_update(
            index_elements=[TwoFactor.account_id],
            set_=values,
            where=TwoFactor.confirmed_at.is_(None),
        )
        .returning(TwoFactor.account_id)
    )
    if stored is None:
        raise _enabled()


def _enabled() -> TwoFactorEnabled:
    return TwoFactorEnabled(_("Disable the present one before you enrol another."))


def confirm(ctx: Context) -> list[str]:
    """Puts the enrolled seed in force by its first code; returns the backup codes, shown once.

    Only for the session that enrolled it with the password. All other sessions end.
    """
    sealed, enrolled_at = _pending(ctx)
    attempt = attempts.reserve(ctx, ctx.user_id, weight=attempts.CODE_WEIGHT)
    # Whoever is logging in at this moment has done so or will need the second factor.
    account = credentials.lock_verified_account(ctx, ctx.user_id)
    reauthentication.require_live(ctx)
    if account is None:
        raise token_invalid()
    code, step = ctx.body["code"], None
    if attempt.allowed:
        step = second_factor.step_of_code(ctx, account.id, sealed, code)
    if step is None:
        attempts.record_failure(ctx, attempt, account.id, reauthentication.WRONG_CODE)
        raise reauthentication.code_wrong()
    _put_in_force(ctx, enrolled_at, step)
    ctx.session.execute(attempts.forget(attempt))
    codes = _replace_backup_codes(ctx, account.id)
    _changed(ctx, account, "enabled")
    return codes


def _pending(ctx: Context) -> tuple[bytes, datetime]:
    lifetime = timedelta(seconds=ctx.runtime.settings.two_factor_enrolment_seconds)
    pending = select(TwoFactor.seed_encrypted, TwoFactor.created_at).where(
        TwoFactor.account_id == ctx.user_id,
        TwoFactor.session_id == ctx.principal.session_id,
        TwoFactor.confirmed_at.is_(None),
        TwoFactor.created_at > ctx.now - lifetime,
    )
    # A connection that is given back at once: counting the attempt takes another.
    with ctx.db.read() as connection:
        row = connection.execute(pending).one_or_none()
    if row is None:
        raise _not_enrolled()
    return row.seed_encrypted, row.created_at


def _put_in_force(ctx: Context, enrolled_at: datetime, step: int) -> None:
    """Once: who comes second, or after another enrolment, is refused."""
    confirmed = ctx.session.scalar(
        update(TwoFactor)
        .where(
            TwoFactor.account_id == ctx.user_id,
            TwoFactor.confirmed_at.is_(None),
            TwoFactor.created_at == enrolled_at,
        )
        .values(confirmed_at=ctx.now, last_step=step)
        .returning(TwoFactor.account_id)
    )
    if confirmed is None:
        raise _not_enrolled()


def _not_enrolled() -> TwoFactorNotEnrolled:
    return TwoFactorNotEnrolled(
        _("Enrol an authenticator in this session, then confirm it in time.")
    )


def disable(ctx: Context) -> None:
    """Switches the second factor off, with password and code. All other sessions end."""
    account = _reauthenticated(ctx)
    ctx.session.execute(delete(TwoFactor).where(TwoFactor.account_id == account.id))
    ctx.session.execute(delete(BackupCode).where(BackupCode.account_id == account.id))
    _changed(ctx, account, "disabled")


def regenerate_backup_codes(ctx: Context) -> list[str]:
    """New backup codes, with password and code; the old ones are worthless."""
    account = _reauthenticated(ctx)
    codes = _replace_backup_codes(ctx, account.id)
    _record(ctx, account, "two_factor.backup_codes_regenerated", {})
    second_factor.tell(ctx, account.id, "backup_codes_regenerated")
    return codes


def _reauthenticated(ctx: Context) -> Account:
    found = reauthentication.find_own(ctx)
    if not found.has_two_factor:
        raise TwoFactorNotEnabled(_("Your account has no second factor."))
    return reauthentication.require_password_and_code(ctx, found)[0]


def _replace_backup_codes(ctx: Context, account_id: UUID) -> list[str]:
    codes = totp.new_backup_codes()
    ctx.session.execute(delete(BackupCode).where(BackupCode.account_id == account_id))
    rows = [
        {"account_id": account_id, "code_hash": totp.backup_code_hash(account_id, code)}
        for code in codes
    ]
    ctx.session.execute(insert(BackupCode), rows)
    return codes


def _changed(ctx: Context, account: Account, change: str) -> None:
    """What follows when it was switched on or off: other sessions end, logins begin anew."""
    one_time_tokens.void(ctx.session, account.id, ctx.now, CHALLENGE)
    kept = ctx.principal.session_id
    ended = revocation.end_all(ctx, account.id, "two_factor_changed", but=kept)
    _record(ctx, account, f"two_factor.{change}", {"sessions_ended": (None, ended)})
    second_factor.tell(ctx, account.id, change)


def _record(ctx: Context, account: Account, action: str, changes: events.Changes) -> None:
    resource, org_id = events.Resource("user", account.id), ctx.principal.org_id
    events.record_for_account(ctx, action, resource, changes, account_id=account.id, org_id=org_id)
