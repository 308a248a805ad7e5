"""Passwords of accounts: found, set. They are tried in :mod:`attempts`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from bugtracker.context import Context
from bugtracker.models import Account, Credential, OneTimeToken, Username

RESET = "reset_password"
"""Purpose of the mailed token."""


@dataclass(frozen=True, slots=True)
class Found:
    """An account and its password's stored form, as they were before a check that takes a while."""

    id: UUID
    username: str
    email: str
    is_active: bool
    verified_at: datetime | None
    password_hash: str


_COLUMNS = (
    Account.id,
    Account.username,
    Account.email,
    Account.is_active,
    Account.verified_at,
    Credential.password_hash,
)


def find_for_login(ctx: Context) -> Found | None:
    """The account that the body names by ``email`` or ``username``."""
    return _find(ctx, *named_by(ctx.body))


def named_by(body: Mapping[str, str]) -> tuple[ColumnElement[bool], ...]:
    """Conditions of the account that a login's body names by ``email`` or ``username``."""
    if "email" in body:
        return (func.lower(Account.email) == body["email"].lower(),)
    username = body["username"].lower()
    claimed = select(Username.email_key).where(Username.username_key == username)
    return (
        func.lower(Account.email) == claimed.scalar_subquery(),
        func.lower(Account.username) == username,
    )


def find_own(ctx: Context) -> Found | None:
    """The caller's account."""
    return _find(ctx, Account.id == ctx.user_id)


def find_by_token(ctx: Context, hashed: bytes, purpose: str) -> Found | None:
    """The account that a live mailed token was sent to."""
    holder = select(OneTimeToken.account_id).where(*_live(ctx, purpose), _is(hashed))
    return _find(ctx, Account.id == holder.scalar_subquery())


def _find(ctx: Context, *conditions: ColumnElement[bool]) -> Found | None:
    """On a connection that is given back at once: hashing comes next, and nobody waits for it."""
    statement = select(*_COLUMNS).join(Credential, Credential.account_id == Account.id)
    with ctx.db.read() as connection:
        row = connection.execute(statement.where(*conditions)).one_or_none()
    return None if row is None else Found(*row)


def lock_unchanged(ctx: Context, found: Found) -> tuple[Account, Credential] | None:
    """Account and credential, locked. None when, since they were found, the account was disabled
    or its password changed."""
    return _lock(ctx, found, Credential.password_hash == found.password_hash)


def lock_verified(ctx: Context, found: Found) -> tuple[Account, Credential] | None:
    """Account and credential, locked, whatever the password is by now. None when the account is
    disabled or its address was never verified."""
    return _lock(ctx, found, Account.verified_at.is_not(None))


def _lock(
    ctx: Context, found: Found, condition: ColumnElement[bool]
) -> tuple[Account, Credential] | None:
    row = ctx.session.execute(
        select(Account, Credential)
        .join(Credential, Credential.account_id == Account.id)
        .where(Account.id == found.id, Account.is_active, condition)
        # Not FOR UPDATE: whoever ends a session holds it while their event refers to the account.
        .with_for_update(key_share=True)
    ).one_or_none()
    return None if row is None else (row.Account, row.Credential)


def set_password(ctx: Context, credential: Credential, password_hash: str) -> None:
    """Replaces a locked password. Links for setting one anew are worthless from now on."""
    credential.password_hash, credential.changed_at = password_hash, ctx.now
    ctx.session.execute(
        update(OneTimeToken)
        .where(
            OneTimeToken.account_id == credential.account_id,
            OneTimeToken.purpose == RESET,
            OneTimeToken.used_at.is_(None),
        )
        .values(used_at=ctx.now)
    )


def redeem(ctx: Context, hashed: bytes, purpose: str) -> UUID | None:
    """Uses a mailed token up, once: whose it was, or None when it is not a live one."""
    return ctx.session.scalar(
        update(OneTimeToken)
        .where(*_live(ctx, purpose), _is(hashed))
        .values(used_at=ctx.now)
        .returning(OneTimeToken.account_id)
    )


def _live(ctx: Context, purpose: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeToken.purpose == purpose,
        OneTimeToken.used_at.is_(None),
        OneTimeToken.expires_at > ctx.now,
    )


def _is(hashed: bytes) -> ColumnElement[bool]:
    return OneTimeToken.token_hash == hashed
