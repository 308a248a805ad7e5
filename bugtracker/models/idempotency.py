"""Requests that may be repeated without being done twice. A global table."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class IdempotencyKey(Base):
    """A key somebody sent, by its keyed hashes. In flight until there is a response."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index(
            "idempotency_keys_owner_hash_idx",
            "owner_hash",
            postgresql_where=text("owner_hash IS NOT NULL"),
        ),
    )

    scope_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """Operation and caller: the same key of somebody else is another key."""
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """What was asked for."""
    claim_id: Mapped[UUID]
    """Who works on it: changes when a claim is taken over, so that only one can finish."""
    claimed_at: Mapped[datetime]
    response_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    owner_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Keyed hash of the caller and their organisation, by which their answers can be deleted."""


def response_place(scope_hash: bytes, key_hash: bytes, fingerprint: bytes) -> str:
    """The associated data of a stored response: its key and the request it answers."""
    parts = (scope_hash, key_hash, fingerprint)
    return "idempotency_keys.response/" + "/".join(part.hex() for part in parts)
