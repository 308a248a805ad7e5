"""Work that somebody asked for and that is done later, as they see it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, OrderedEnum, words_of

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
JOB_STATES: tuple[JobState, ...] = words_of(JobState)


class BackgroundJob(Base):
    """What a 202 promised: who asked for what about whom, and how far it is.

    The queue's own rows say how often a function ran, are everybody's, and go after a week.
    Unfinished, there is one of a kind about a person per caller.
    """

    __tablename__ = "background_jobs"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "created_by_id"], ["members.org_id", "members.user_id"]),
        ForeignKeyConstraint(["org_id", "subject_id"], ["members.org_id", "members.user_id"]),
        CheckConstraint("(state < 2) = (finished_at IS NULL)", name="background_jobs_finish"),
        Index(
            "background_jobs_unfinished_key",
            "org_id",
            "subject_id",
            "created_by_id",
            "kind",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("background_jobs_by_subject_idx", "org_id", "subject_id"),
        Index("background_jobs_by_creator_idx", "org_id", "created_by_id"),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[JobState] = mapped_column(
        OrderedEnum(*JOB_STATES),
        comment="rank of queued, running, succeeded, failed, cancelled (0 to 4)",
    )
    created_by_id: Mapped[UUID]
    subject_id: Mapped[UUID]
    """The person it is about."""
    attempts: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    """Records; None before they were counted."""
    problem: Mapped[str | None] = mapped_column(Text)
    """Why it failed, as a word for the client; the log has the reason."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
