"""People by as few statements as they have rows: every test has some, with rows of six tables.

Registering, joining and logging in take twenty statements, which were half the time of all tests.
``test_world.py`` holds that the rows are the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, insert
from sqlalchemy.orm import Session as Transaction

from bugtracker.ids import new_id
from bugtracker.models import Account, Base, Credential, Member, Session, Username
from bugtracker.models.organisation import Role
from bugtracker.services import events
from bugtracker.services.events import Origin


@dataclass(frozen=True)
class Person:
    """Somebody with a verified address."""

    id: UUID
    username: str

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


def add_account(tx: Transaction, person: Person, password_hash: str, now: datetime) -> None:
    """What is left of a registration that was verified; the transaction must be the account's."""
    key, email = person.username.lower(), person.email
    _add(tx, Username, username_key=key, email_key=email.lower(), expires_at=None)
    _add(
        tx, Account, id=person.id, username=person.username, email=email, verified_at=now,
        created_at=now, updated_at=now,
    )  # fmt: skip
    _add(tx, Credential, account_id=person.id, password_hash=password_hash, changed_at=now)
    by = Origin(now, None, account_id=person.id)
    _tell(tx, person, by, "user.created", username=person.username, email=email)


def add_member(tx: Transaction, person: Person, org_id: UUID, role: Role, now: datetime) -> None:
    """A first membership; the transaction must be in the organisation."""
    _add(
        tx, Member, org_id=org_id, user_id=person.id, account_id=person.id, role=role,
        created_at=now, updated_at=now,
    )  # fmt: skip
    by = Origin(now, org_id, account_id=person.id)
    _tell(tx, person, by, "member.joined", role=role)


def add_session(tx: Transaction, account_id: UUID, org_id: UUID | None, now: datetime) -> UUID:
    """A login that lasts for a year; its id."""
    session_id = new_id()
    _add(
        tx, Session, id=session_id, account_id=account_id, org_id=org_id, created_at=now,
        last_used_at=now, expires_at=now + timedelta(days=365),
    )  # fmt: skip
    return session_id


@cache
def _insert(model: type[Base]) -> Insert:
    return insert(model.metadata.tables[model.__tablename__])


def _add(tx: Transaction, model: type[Base], **values: Any) -> None:
    tx.connection().execute(_insert(model), values)


def _tell(tx: Transaction, person: Person, by: Origin, action: str, **fields: Any) -> None:
    resource = events.Resource("user", person.id, 1)
    events.append(tx, by, action, resource, events.created(**fields))
