"""Passwords of accounts: found, set. They are tried in :mod:`attempts`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select

from bugtracker.context import Context
from bugtracker.models import Account, Credential, TwoFactor, Username
from bugtracker.security import one_time_tokens
from bugtracker.security.one_time_tokens import CHALLENGE, MAGIC_LINK, RESET


@dataclass(frozen=True, slots=True)
class Found:
    """An account and its password's stored form, as they were before a check that takes a while."""

    id: UUID
    username: str
    email: str
    is_active: bool
    verified_at: datetime | None
    password_hash: str
    has_two_factor: bool


_COLUMNS = (
    Account.id,
    Account.username,
    Account.email,
    Account.is_active,
    Account.verified_at,
    Credential.password_hash,
    exists().where(TwoFactor.account_id == Account.id, TwoFactor.confirmed_at.is_not(None)),
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


def find_by_token(ctx: Context, token: str, purpose: str) -> Found | None:
    """The account that a live one-time token was made for."""
    return _find(ctx, Account.id == one_time_tokens.holder(token, purpose, ctx.now))


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


def lock_verified_account(ctx: Context, account_id: UUID) -> Account | None:
    """The account alone, locked. None when it is disabled or was never verified."""
    return ctx.session.scalar(
        select(Account)
        .where(Account.id == account_id, Account.is_active, Account.verified_at.is_not(None))
        .with_for_update(key_share=True)
    )


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
    """Replaces a locked password. Links for setting one anew or for logging in, and logins that
    wait for their second factor, are worthless from now on."""
    credential.password_hash, credential.changed_at = password_hash, ctx.now
    one_time_tokens.void(ctx.session, credential.account_id, ctx.now, RESET, MAGIC_LINK, CHALLENGE)
