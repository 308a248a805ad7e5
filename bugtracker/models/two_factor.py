"""The second factor of an account. Global tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class TwoFactor(Base):
    """The seed that an account's authenticator shares with us; in force once confirmed."""

    __tablename__ = "two_factor"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    session_id: Mapped[UUID]
    """The session that enrolled it with the password; only that one may confirm it."""
    seed_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger)
    """Number of the 30 seconds whose code was accepted last; no earlier one is any more."""
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class BackupCode(Base):
    """One of the codes for whoever has lost the authenticator; only its SHA-256 is kept."""

    __tablename__ = "backup_codes"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None]


def seed_place(account_id: UUID) -> str:
    """The associated data of an encrypted seed."""
    return f"two_factor.seed/{account_id}"
