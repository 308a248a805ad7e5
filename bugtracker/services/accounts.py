"""Accounts: made ready by a registration, or by the operator and verified at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options
from bugtracker.mail.queueing import queue_mail
from bugtracker.models import Account, Credential
from bugtracker.security import one_time_tokens
from bugtracker.services import events, usernames
from bugtracker.services.events import Origin

LOCK_ADDRESS = text("SELECT pg_advisory_xact_lock(hashtextextended(:email, 0))")

OPERATORS_CLAIM = timedelta(minutes=1)
"""How long a username is claimed while the operator's transaction runs."""


@dataclass(frozen=True)
class Registrant:
    """Who wants an account."""

    email: str
    username: str
    password_hash: str
    name: str | None = None
    org_name: str | None = None


def lock_address(session: Session, email: str) -> Account | None:
    """The account of an address, locked; nobody else makes one until the transaction ends."""
    session.execute(LOCK_ADDRESS, {"email": email.lower()})
    return session.scalar(
        select(Account).where(func.lower(Account.email) == email.lower()).with_for_update()
    )


def make_ready(
    session: Session, account: Account | None, registrant: Registrant, now: datetime
) -> Account:
    """A new unverified account, or an unverified one made anew with its mailed tokens void."""
    if account is None:
        account = Account(id=new_id(), created_at=now, is_active=True, login_count=0, version=0)
        session.add(account)
    account.username, account.email = registrant.username, registrant.email
    account.name, account.pending_org_name = registrant.name, registrant.org_name
    account.touch(now)
    session.flush()
    session.merge(
        Credential(account_id=account.id, password_hash=registrant.password_hash, changed_at=now)
    )
    one_time_tokens.void(session, account.id, now)
    return account


def find_account(session: Session, email: str) -> UUID | None:
    """The verified account of an address. One that waits for its verification is nobody's yet."""
    return session.scalar(
        select(Account.id).where(
            func.lower(Account.email) == email.lower(), Account.verified_at.is_not(None)
        )
    )


def stand_in(ctx: Context, email: str) -> UUID:
    """An id that no account has, always the same one for an address: asking twice in a row costs
    the same for everybody, too."""
    return UUID(bytes=ctx.runtime.keyring.sign(b"no account:" + email.lower().encode()))


def queue_link(ctx: Context, purpose: str) -> None:
    """Queues the mail with a link for the verified account of the body's ``email``. Does the same
    for whoever has none: the job that looks for their stand-in finds nobody."""
    email = ctx.body["email"]
    account_id = find_account(ctx.session, email) or stand_in(ctx, email)
    waiting = Options(queueing_lock=f"{purpose}:{account_id}")
    queue_mail(ctx, purpose, waiting, account_id=account_id)


def create_account(
    session: Session,
    *,
    email: str,
    username: str,
    password_hash: str,
    by: Origin,
    name: str | None = None,
) -> UUID:
    """A verified account. UsernameTaken when somebody has the name, ValueError when somebody has
    the address; a registration that was never verified gives way."""
    account = lock_address(session, email)
    if account is not None and account.verified_at is not None:
        raise ValueError(f"{email} has an account already")
    usernames.claim(session, username, email, by.now, OPERATORS_CLAIM)
    if not usernames.keep(session, username, email):
        raise usernames.taken()
    registrant = Registrant(email, username, password_hash, name)
    account = make_ready(session, account, registrant, by.now)
    account.verified_at = by.now
    enter_tenant(session, None, account.id)
    events.append(
        session,
        Origin(by.now, None, by.actor_id, account.id, by.request_id),
        "user.created",
        events.Resource("user", account.id, account.version),
        events.created(username=username, email=email),
    )
    return account.id
