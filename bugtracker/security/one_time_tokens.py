"""Tokens that work once: made, found, used up and made void, each by one statement.

Most are mailed; a login that waits for its second factor has one too.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import ScalarSelect

from bugtracker.ids import new_id
from bugtracker.models import OneTimeToken
from bugtracker.security.secrets import new_token, token_hash

VERIFY_EMAIL, RESET, MAGIC_LINK = "verify_email", "reset_password", "magic_link"
"""Purposes of mailed tokens; also the kinds of the mails."""
CHALLENGE = "two_factor_challenge"
"""Purpose of what a login gets that waits for its second factor."""


def mint(
    session: Session,
    account_id: UUID,
    purpose: str,
    lifetime: int,
    now: datetime,
    *,
    wanted_org_id: UUID | None = None,
) -> str:
    """A new token for so many seconds."""
    token = new_token()
    row = OneTimeToken(
        id=new_id(),
        account_id=account_id,
        purpose=purpose,
        token_hash=token_hash(token),
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime),
        wanted_org_id=wanted_org_id,
    )
    session.add(row)
    return token


def void(session: Session, account_id: UUID, now: datetime, *purposes: str) -> None:
    """Makes the live tokens of an account worthless: those of some purposes, else all."""
    statement = update(OneTimeToken).where(
        OneTimeToken.account_id == account_id, OneTimeToken.used_at.is_(None)
    )
    if purposes:
        statement = statement.where(OneTimeToken.purpose.in_(purposes))
    session.execute(statement.values(used_at=now))


def holder(token: str, purpose: str, now: datetime) -> ScalarSelect[UUID]:
    """The account of a live token, as a subquery."""
    return select(OneTimeToken.account_id).where(*_live(token, purpose, now)).scalar_subquery()


def is_live(session: Session, token: str, purpose: str, now: datetime) -> bool:
    """Whether the token could be redeemed now."""
    return session.scalar(select(OneTimeToken.id).where(*_live(token, purpose, now))) is not None


def redeem(session: Session, token: str, purpose: str, now: datetime) -> OneTimeToken | None:
    """Uses a token up, once: what it was, or None when it is not a live one."""
    return session.scalar(
        update(OneTimeToken)
        .where(*_live(token, purpose, now))
        .values(used_at=now)
        .returning(OneTimeToken)
    )


def _live(token: str, purpose: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeToken.token_hash == token_hash(token),
        OneTimeToken.purpose == purpose,
        OneTimeToken.used_at.is_(None),
        OneTimeToken.expires_at > now,
    )
