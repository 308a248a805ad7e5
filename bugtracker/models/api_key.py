"""Keys that programs call the API with."""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, INET
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, Versioned

ApiKeyStatus = Literal["active", "expired", "revoked"]


class ApiKey(Versioned, Base):
    """Acts as its creator, within its scopes. Only the SHA-256 of the key is kept.

    ``expires_at`` is when it stops working; a rotated key has ``replaced_by_id``, and expires
    when the overlap ends.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["org_id", "created_by_id"], ["members.org_id", "members.user_id"]),
        ForeignKeyConstraint(["org_id", "replaced_by_id"], ["api_keys.org_id", "api_keys.id"]),
        CheckConstraint("expires_at <= created_at + interval '367 days'", name="api_keys_expire"),
        Index("api_keys_key_hash_key", "key_hash", unique=True),
        Index("api_keys_by_created_idx", "org_id", "created_at", "id"),
        Index("api_keys_by_creator_idx", "org_id", "created_by_id"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by_id: Mapped[UUID]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    revoked_at: Mapped[datetime | None]
    replaced_by_id: Mapped[UUID | None]


def status_of(revoked_at: datetime | None, expires_at: datetime, now: datetime) -> ApiKeyStatus:
    """What a key is at a moment. A rotated one is active until its overlap ends."""
    if revoked_at is not None:
        return "revoked"
    return "active" if expires_at > now else "expired"
