"""How many requests of an organisation were let through, and how many a rate limit refused."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class RequestMinute(Base):
    """Requests in a minute, by operation. Written by a database function only."""

    __tablename__ = "request_minutes"
    __table_args__ = (
        CheckConstraint("allowed >= 0"),
        CheckConstraint("limited >= 0"),
        Index("request_minutes_by_minute_idx", "minute"),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(Text, primary_key=True)
    allowed: Mapped[int] = mapped_column(BigInteger)
    limited: Mapped[int] = mapped_column(BigInteger)


class RequestHour(Base):
    """The same in an hour: always the sum of its minutes, which are kept for a shorter time."""

    __tablename__ = "request_hours"
    __table_args__ = (
        CheckConstraint("allowed >= 0"),
        CheckConstraint("limited >= 0"),
        Index("request_hours_by_hour_idx", "hour"),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(Text, primary_key=True)
    allowed: Mapped[int] = mapped_column(BigInteger)
    limited: Mapped[int] = mapped_column(BigInteger)
