"""Passwords and codes that were tried. A global table."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class LoginAttempts(Base):
    """How often somebody tried to be one account, since the last success or in this window."""

    __tablename__ = "login_attempts"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """Keyed hash of the account's id, or of the name that no account has."""
    attempts: Mapped[int]
    window_ends_at: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]
