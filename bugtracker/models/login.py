"""Logins into organisations, for analytics: each one, and counted by day."""

from datetime import date as Date
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class LoginEvent(Base):
    """One login of a member. ``id`` is that of the session which began.

    Partitioned by month. No foreign key: dropping a partition would lock the table it refers to.
    """

    __tablename__ = "login_events"
    __table_args__ = {"postgresql_partition_by": "RANGE (created_at)"}

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]


class LoginDay(Base):
    """A UTC day on which somebody logged in.

    A trigger makes it, or takes ``rolled_up_at`` away, in the transaction of each login event.
    While that is None, the day's logins are counted from its events, and otherwise from
    :class:`LoginDaily`.
    """

    __tablename__ = "login_days"
    __table_args__ = (
        Index("login_days_unrolled_idx", "date", postgresql_where=text("rolled_up_at IS NULL")),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    date: Mapped[Date] = mapped_column(primary_key=True)
    rolled_up_at: Mapped[datetime | None]


class LoginDaily(Base):
    """How often a person logged in on a UTC day."""

    __tablename__ = "login_daily"
    __table_args__ = (
        CheckConstraint("count > 0"),
        ForeignKeyConstraint(
            ["org_id", "user_id"], ["members.org_id", "members.user_id"], ondelete="CASCADE"
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    date: Mapped[Date] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    count: Mapped[int]
