"""Organisations whose people can log in at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from bugtracker.db import enter_tenant
from bugtracker.models import Account, Member, Organisation
from bugtracker.models.organisation import Role
from bugtracker.services import accounts, organisations
from bugtracker.services.events import Origin


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who can log in."""

    username: str
    name: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class Person:
    """A member who reports, works and comments."""

    user_id: UUID
    role: Role


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a seed has made, or found: then ``created`` is False and nothing was changed."""

    org_id: UUID
    slug: str
    created: bool
    logins: tuple[Login, ...]
    issues: int = 0
    comments: int = 0


def find_organisation(session: Session, slug: str) -> UUID | None:
    """The organisation with this slug, under a lock: nobody else seeds in the meantime."""
    lock = func.hashtextextended("bugtracker.seed", 0)
    session.execute(select(func.pg_advisory_xact_lock(lock)))
    return organisations.organisation_by_slug(session, slug)


def organisation_of(session: Session, logins: Sequence[Login]) -> tuple[UUID, str] | None:
    """The first organisation that one of these people joined, and its slug by now: whoever owns
    it may have renamed it. Leaves the transaction in no tenant."""
    # Both: somebody else may have registered one of them.
    them = tuple_(Account.email, Account.username).in_(
        [(login.email, login.username) for login in logins]
    )
    for account_id in session.scalars(select(Account.id).where(them).order_by(Account.id)).all():
        enter_tenant(session, None, account_id)
        joined = (
            select(Organisation.id, Organisation.slug)
            .join(Member, Member.org_id == Organisation.id)
            .where(Member.account_id == account_id, Member.removed_at.is_(None))
        )
        if row := session.execute(joined.order_by(Organisation.id)).first():
            return row.id, row.slug
    return None


def create_organisation(
    session: Session,
    slug: str,
    name: str,
    logins: Sequence[Login],
    password_hash: str,
    now: datetime,
) -> tuple[UUID, tuple[Person, ...]]:
    """A new organisation with its people, verified and with one password for all.

    Moves the transaction into the new tenant. Raises UsernameTaken, or ValueError when an address
    or the slug is taken.
    """
    by = Origin(now, None)
    org_id = organisations.found(session, [slug], name, by)
    people = []
    for login in logins:
        account_id = accounts.create_account(
            session,
            email=login.email,
            username=login.username,
            name=login.name,
            password_hash=password_hash,
            by=by,
        )
        organisations.add_member(session, org_id, account_id, login.role, by)
        people.append(Person(account_id, login.role))
    enter_tenant(session, org_id)
    return org_id, tuple(people)
