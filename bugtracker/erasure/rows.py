"""What an organisation's tables hold about a person, but for its events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from bugtracker.exporting import endings as exports
from bugtracker.idempotency import owner_hash
from bugtracker.importing.people import SOURCE, erased_login
from bugtracker.login_analytics import recording as analytics
from bugtracker.models import (
    Account,
    ApiKey,
    DeletionRequest,
    IdempotencyKey,
    Invitation,
    Member,
    OneTimeToken,
)
from bugtracker.models import Session as Login
from bugtracker.security.secrets import Keyring
from bugtracker.services.events import Origin, Resource, append

ERASED_EMAIL = "deleted-user@deleted.invalid"
ERASED_KEY = "Deleted key"


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to erase, and where; ``email`` is of their account, where there is one."""

    org_id: UUID
    user_id: UUID
    email: str | None


def erase_rows(session: Session, keyring: Keyring, person: Person, now: datetime) -> None:
    """Makes the member a deleted user, and clears what else names them. To be run in the tenant,
    with the account and the organisation locked."""
    _forget_members(session, keyring, person, now)
    _forget_invitations(session, person, now)
    _forget_keys(session, person, now)
    _forget_logins(session, person)
    analytics.forget(session, person.org_id, person.user_id)
    exports.forget(session, person.org_id, person.user_id, now)
    answers = owner_hash(keyring, person.user_id, person.org_id)
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.owner_hash == answers))


def _forget_members(session: Session, keyring: Keyring, person: Person, now: datetime) -> None:
    """The member, and those without a login who turned out to be them."""
    same = (Member.user_id == person.user_id) | (Member.linked_to == person.user_id)
    rows = session.scalars(
        select(Member)
        .where(Member.org_id == person.org_id, same)
        .order_by(Member.user_id)
        .with_for_update(key_share=True)
    )
    for member in rows.all():
        if not member.is_erased:
            member.erase(now, _login_of(keyring, member))
    session.flush()


def _login_of(keyring: Keyring, member: Member) -> bytes | None:
    """What is left of the login of somebody who was imported."""
    if member.imported_from != SOURCE or member.imported_username is None:
        return None
    return erased_login(keyring, member.org_id, member.imported_username)


def _forget_invitations(session: Session, person: Person, now: datetime) -> None:
    if person.email is None:
        return
    invited = session.scalars(
        select(Invitation)
        .where(
            Invitation.org_id == person.org_id,
            func.lower(Invitation.email) == person.email.lower(),
        )
        .order_by(Invitation.id)
        .with_for_update()
    )
    for invitation in invited.all():
        if invitation.is_open:
            # Somebody invited them while this waited for its turn.
            invitation.revoke(now)
            resource = Resource("invitation", invitation.id, invitation.version)
            changes = {"revoked": (False, True)}
            append(session, Origin(now, person.org_id), "invitation.revoked", resource, changes)
        invitation.email, invitation.token_hash = ERASED_EMAIL, None
        invitation.touch(now)


def _forget_keys(session: Session, person: Person, now: datetime) -> None:
    """Keys are named by whoever made them. They ended with the membership."""
    values: dict[str, Any] = {"name": ERASED_KEY, "last_used_ip": None, "updated_at": now}
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.org_id == person.org_id,
            ApiKey.created_by_id == person.user_id,
            ApiKey.name != ERASED_KEY,
        )
        .values(**values, version=ApiKey.version + 1)
    )


def _forget_logins(session: Session, person: Person) -> None:
    """Where the account was logged in to this organisation, and what points there."""
    mine, here = person.user_id, person.org_id
    session.execute(delete(Login).where(Login.account_id == mine, Login.org_id == here))
    session.execute(
        update(Account)
        .where(Account.id == mine, Account.last_org_id == here)
        .values(last_org_id=None)
    )
    session.execute(
        update(OneTimeToken)
        .where(OneTimeToken.account_id == mine, OneTimeToken.wanted_org_id == here)
        .values(wanted_org_id=None)
    )


def erase_reasons(session: Session, person: Person) -> None:
    """What was said about the person when earlier requests were decided."""
    session.execute(
        update(DeletionRequest)
        .where(
            DeletionRequest.org_id == person.org_id,
            DeletionRequest.user_id == person.user_id,
            DeletionRequest.reason.is_not(None),
        )
        .values(reason=None, version=DeletionRequest.version + 1)
    )
