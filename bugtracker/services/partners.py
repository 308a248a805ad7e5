"""Partner systems, as the operator manages them: made, given another key, disabled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.ids import new_id
from bugtracker.models import Partner, PartnerKey
from bugtracker.models.partner import partner_secret_place
from bugtracker.security.api_keys import PARTNER_MARK, new_key
from bugtracker.security.secrets import Keyring, new_token


@dataclass(frozen=True)
class Credentials:
    """What a partner signs with; shown once."""

    key: str
    secret: str


def create(session: Session, keyring: Keyring, name: str, now: datetime) -> Credentials:
    """A new partner. ValueError when the name is taken, upper and lower case alike."""
    made = insert(Partner).values(id=new_id(), name=name, created_at=now)
    partner_id = session.scalar(made.on_conflict_do_nothing().returning(Partner.id))
    if partner_id is None:
        raise ValueError(f"there is a partner {name!r} already")
    return _add_key(session, keyring, partner_id, now)


def rotate(
    session: Session, keyring: Keyring, name: str, overlap: timedelta, now: datetime
) -> Credentials:
    """Another key and secret; those before end after ``overlap``. ValueError for nobody, and for
    a partner that is disabled."""
    partner = _lock(session, name)
    if partner.disabled_at is not None:
        raise ValueError(f"the partner {name!r} is disabled")
    ends = now + overlap
    session.execute(
        update(PartnerKey)
        .where(
            PartnerKey.partner_id == partner.id,
            or_(PartnerKey.expires_at.is_(None), PartnerKey.expires_at > ends),
        )
        .values(expires_at=ends)
    )
    return _add_key(session, keyring, partner.id, now)


def disable(session: Session, name: str, now: datetime) -> None:
    """Ends all its keys, and what is being made for it; again is no change. ValueError for
    nobody."""
    partner = _lock(session, name)
    partner.disabled_at = partner.disabled_at or now


def listed(session: Session) -> Sequence[Row[*tuple[Any, ...]]]:
    """Name, times and the beginnings of the live keys of all partners, by name."""
    is_live = or_(PartnerKey.expires_at.is_(None), PartnerKey.expires_at > func.now())
    keys = func.array_agg(PartnerKey.prefix).filter(is_live).label("prefixes")
    return session.execute(
        select(Partner.name, Partner.created_at, Partner.disabled_at, keys)
        .join(PartnerKey, PartnerKey.partner_id == Partner.id)
        .group_by(Partner.id)
        .order_by(func.lower(Partner.name))
    ).all()


def _lock(session: Session, name: str) -> Partner:
    named = select(Partner).where(func.lower(Partner.name) == name.lower())
    partner = session.scalar(named.with_for_update())
    if partner is None:
        raise ValueError(f"there is no partner {name!r}")
    return partner


def _add_key(session: Session, keyring: Keyring, partner_id: UUID, now: datetime) -> Credentials:
    key, secret, key_id = new_key(PARTNER_MARK), new_token(), new_id()
    row = PartnerKey(
        id=key_id,
        partner_id=partner_id,
        prefix=key.prefix,
        key_hash=key.hash,
        secret_encrypted=keyring.encrypt(secret.encode(), partner_secret_place(key_id)),
        created_at=now,
    )
    session.add(row)
    return Credentials(key.secret, secret)
