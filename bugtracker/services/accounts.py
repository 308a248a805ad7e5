"""Accounts made by the operator, already verified."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.db import enter_tenant
from bugtracker.ids import new_id
from bugtracker.models import Account, Credential, Username
from bugtracker.services import events, usernames
from bugtracker.services.events import Origin


def find_account(session: Session, email: str) -> UUID | None:
    """The account of an address."""
    return session.scalar(select(Account.id).where(func.lower(Account.email) == email.lower()))


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
    the address."""
    if find_account(session, email) is not None:
        raise ValueError(f"{email} has an account already")
    if session.get(Username, username.lower()) is not None:
        raise usernames.taken()
    account = Account(
        id=new_id(),
        email=email,
        username=username,
        name=name,
        verified_at=by.now,
        is_active=True,
        login_count=0,
        created_at=by.now,
        updated_at=by.now,
        version=1,
    )
    session.add_all([account, Username(username_key=username.lower(), email_key=email.lower())])
    session.flush()
    session.add(Credential(account_id=account.id, password_hash=password_hash, changed_at=by.now))
    enter_tenant(session, None, account.id)
    events.append(
        session,
        Origin(by.now, None, by.actor_id, account.id, by.request_id),
        "user.created",
        events.Resource("user", account.id, 1),
        events.created(username=username, email=email),
    )
    return account.id
