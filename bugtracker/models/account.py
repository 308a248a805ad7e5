"""The person behind a login, whatever organisations they are in. Global tables."""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, Versioned


class Account(Versioned, Base):
    """Somebody who can log in. Unverified until the mailed link was followed."""

    __tablename__ = "accounts"
    __table_args__ = (
        Index("accounts_email_key", text("lower(email)"), unique=True),
        Index(
            "accounts_username_key",
            text("lower(username)"),
            unique=True,
            postgresql_where=text("verified_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    verified_at: Mapped[datetime | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    deactivated_by_removal: Mapped[bool] = mapped_column(
        default=False, server_default=text("false")
    )
    """Not active because the last membership was ended by somebody else, and for as long."""
    erasing_since: Mapped[datetime | None]
    """When its owner deleted it; nothing brings it back."""
    last_login: Mapped[datetime | None]
    login_count: Mapped[int] = mapped_column(default=0)
    last_org_id: Mapped[UUID | None]
    language: Mapped[str | None] = mapped_column(Text)
    """Of mails, and of answers to requests that name none; None: as requests say."""
    pending_org_name: Mapped[str | None] = mapped_column(Text)
    """Organisation to create when the address is verified."""

    def note_login(self, now: datetime) -> None:
        """Counts a login in the UPDATE itself, so that none is lost to another one."""
        # Who waited for another login may have begun before it.
        self.last_login = func.greatest(Account.last_login, now)
        self.login_count = Account.login_count + 1


class Username(Base):
    """A claim on a username. ``expires_at`` is None once the claiming address is verified."""

    __tablename__ = "usernames"
    __table_args__ = (Index("usernames_email_key_idx", "email_key"),)

    username_key: Mapped[str] = mapped_column(Text, primary_key=True)
    email_key: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None]


class Credential(Base):
    """The password of an account."""

    __tablename__ = "credentials"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    password_hash: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]


class Session(Base):
    """A login on one device: the family that all its refresh tokens belong to."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    org_id: Mapped[UUID | None]
    user_agent: Mapped[str | None] = mapped_column(Text)
    ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None] = mapped_column(Text)


class RefreshToken(Base):
    """One link of a session's chain of refresh tokens; only its SHA-256 is kept."""

    __tablename__ = "refresh_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(
        ForeignKey("sessions.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OneTimeToken(Base):
    """A mailed token, or what a login waits for its second factor with; only its SHA-256 is
    kept."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (Index("one_time_tokens_account_id_purpose_idx", "account_id", "purpose"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    wanted_org_id: Mapped[UUID | None]
    """The organisation that a login which waits was for, if it named one."""


class SigningKey(Base):
    """A key that signs, or has signed, access tokens. One at a time is not retired."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        Index(
            "signing_keys_current_key",
            text("(true)"),
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    public_jwk: Mapped[dict[str, Any]]
    private_key_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


def private_key_place(kid: str) -> str:
    """The associated data of an encrypted signing key."""
    return f"signing_keys.private_key/{kid}"
