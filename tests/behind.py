"""Looks and changes behind the API's back: what no operation does yet, and what none shows."""

from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import select, text, update

from bugtracker.models import (
    Account,
    Event,
    LoginAttempts,
    Member,
    OneTimeToken,
    RefreshToken,
    Session,
    Username,
)
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from bugtracker.settings import Settings
from tests.registering import Newcomer, newcomer
from tests.world import Org, World

Tokens = dict[str, Any]
NEW_SIGN_INS = text(
    "SELECT count(*) FROM procrastinate_jobs j"
    " JOIN sessions s ON s.id = (j.args->>'session_id')::uuid"
    " JOIN accounts a ON a.id = s.account_id"
    " WHERE j.task_name = 'mail.new_sign_in' AND a.email = :email"
)


def employee(world: World, org: Org, http: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    account_id, username = world.create_account()
    world.join(account_id, org.id, "developer")
    return newcomer(http, settings, email=f"{username}@example.com", username=username)


def change_account(runtime: Runtime, person: Newcomer, **values: object) -> None:
    with runtime.db.transaction() as session:
        session.execute(update(Account).where(Account.email == person.email).values(**values))


def change_member(runtime: Runtime, person: Newcomer, org: Org, **values: object) -> None:
    with runtime.db.transaction(org_id=org.id) as session:
        user_id = session.scalars(select(Account.id).where(Account.email == person.email)).one()
        session.execute(update(Member).where(Member.user_id == user_id).values(**values))


def events_of(runtime: Runtime, org: Org, action: str) -> list[Event]:
    with runtime.db.transaction(org_id=org.id) as session:
        wanted = select(Event).where(Event.action == action)
        return list(session.scalars(wanted.order_by(Event.created_at, Event.id)))


def change_refresh_token(runtime: Runtime, tokens: Tokens, **values: object) -> None:
    hashed = token_hash(tokens["refresh_token"])
    with runtime.db.transaction() as session:
        changed = update(RefreshToken).where(RefreshToken.token_hash == hashed)
        session.execute(changed.values(**values))


def change_session(runtime: Runtime, tokens: Tokens, **values: object) -> None:
    hashed = token_hash(tokens["refresh_token"])
    of_token = select(RefreshToken.session_id).where(RefreshToken.token_hash == hashed)
    with runtime.db.transaction() as session:
        changed = update(Session).where(Session.id == of_token.scalar_subquery())
        session.execute(changed.values(**values))


def change_token(runtime: Runtime, token: str, **values: object) -> None:
    """Changes a mailed token."""
    with runtime.db.transaction() as session:
        changed = update(OneTimeToken).where(OneTimeToken.token_hash == token_hash(token))
        session.execute(changed.values(**values))


def change_claim(runtime: Runtime, username: str, **values: object) -> None:
    """Changes the reservation of a username."""
    with runtime.db.transaction() as session:
        changed = update(Username).where(Username.username_key == username.lower())
        session.execute(changed.values(**values))


def attempts_of(runtime: Runtime, who: str) -> int:
    """How many attempts are counted for ``account:<id>``, ``email:<address>`` or ``username:…``."""
    key = runtime.keyring.attempts_key(who)
    with runtime.db.transaction() as session:
        wanted = select(LoginAttempts.attempts).where(LoginAttempts.key == key)
        return session.scalar(wanted) or 0


def age_attempts(runtime: Runtime, person: Newcomer, by: timedelta) -> None:
    """Moves the failed logins of an account into the past."""
    with runtime.db.transaction() as session:
        account_id = session.scalars(select(Account.id).where(Account.email == person.email)).one()
        key = runtime.keyring.attempts_key(f"account:{account_id}")
        changed = update(LoginAttempts).where(LoginAttempts.key == key)
        aged = {
            "window_ends_at": LoginAttempts.window_ends_at - by,
            "locked_until": LoginAttempts.locked_until - by,
        }
        session.execute(changed.values(aged))


def new_sign_ins_told(runtime: Runtime, person: Newcomer) -> int:
    """How many mails about a new sign-in were queued for the person."""
    with runtime.db.read() as connection:
        return int(connection.execute(NEW_SIGN_INS, {"email": person.email}).scalar_one())
