"""Requests to have somebody erased from an organisation."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, OrderedEnum, Versioned, words_of

DeletionState = Literal["pending", "approved", "done", "refused", "cancelled"]
DELETION_STATES: tuple[DeletionState, ...] = words_of(DeletionState)


class DeletionRequest(Versioned, Base):
    """Somebody's wish that nothing here be about them any more, or an admin's for them.

    Pending until it is decided, once; an approved one is done by a job. One of each person waits
    or is being done at most. Nothing in it is personal but the reason, and that goes, too.
    """

    __tablename__ = "deletion_requests"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "user_id"], ["members.org_id", "members.user_id"]),
        ForeignKeyConstraint(["org_id", "requested_by_id"], ["members.org_id", "members.user_id"]),
        ForeignKeyConstraint(["org_id", "decided_by_id"], ["members.org_id", "members.user_id"]),
        CheckConstraint("(state = 0) = (decided_at IS NULL)", name="deletion_requests_decided"),
        CheckConstraint("(state = 2) = (done_at IS NOT NULL)", name="deletion_requests_done"),
        Index(
            "deletion_requests_open_key",
            "org_id",
            "user_id",
            unique=True,
            postgresql_where=text("state IN (0, 1)"),
        ),
        Index("deletion_requests_by_state_idx", "org_id", "state", "id"),
        Index(
            "deletion_requests_waiting_idx",
            "org_id",
            "decided_at",
            postgresql_where=text("state = 1"),
        ),
        Index("deletion_requests_by_user_idx", "user_id"),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    state: Mapped[DeletionState] = mapped_column(
        OrderedEnum(*DELETION_STATES),
        comment="rank of pending, approved, done, refused, cancelled (0 to 4)",
    )
    requested_by_id: Mapped[UUID]
    decided_by_id: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    events_checked: Mapped[int] = mapped_column(BigInteger, default=0)
    """How far the job is: the number of the last event it looked at."""
    done_at: Mapped[datetime | None]
