"""The append-only record of every change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base

OF_STATUS = "resource_type = 'issue' AND action <> 'issue.created' AND changes ? 'status'"
"""What gave an issue another status than the first one. Statements that read by its index say it
in these words."""


class Event(Base):
    """One change: who did what to which resource, with old and new values.

    ``changes`` maps a field to ``[old, new]``. ``number`` is given after commit by the sequencer.
    An event outside any organisation (a login without one) belongs to ``account_id``.
    """

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint(
            "org_id IS NOT NULL OR account_id IS NOT NULL", name="events_belong_somewhere"
        ),
        Index("events_org_id_number_key", "org_id", "number", unique=True),
        Index(
            "events_unnumbered_idx",
            "org_id",
            "id",
            postgresql_where=text("number IS NULL AND org_id IS NOT NULL"),
        ),
        Index("events_by_resource_idx", "org_id", "resource_id", "resource_version", "id"),
        Index(
            "events_by_account_idx",
            "account_id",
            "id",
            postgresql_where=text("account_id IS NOT NULL"),
        ),
        Index(
            "events_of_statuses_idx",
            "org_id",
            "project_id",
            "issue_id",
            "resource_version",
            "id",
            postgresql_where=text(OF_STATUS),
        ),
        Index("events_by_created_idx", "org_id", "created_at", "id"),
        Index("events_by_action_idx", "org_id", "action", "created_at", "id"),
        Index("events_by_actor_idx", "org_id", "actor_id", "created_at", "id"),
        Index("events_by_resource_type_idx", "org_id", "resource_type", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"))
    number: Mapped[int | None] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(Text(collation="C"))
    actor_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    resource_type: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[UUID]
    resource_version: Mapped[int | None]
    project_id: Mapped[UUID | None]
    issue_id: Mapped[UUID | None]
    changes: Mapped[dict[str, Any]]
    request_id: Mapped[str | None] = mapped_column(Text)
    api_key_id: Mapped[UUID | None]
    """The API key the actor used; None for a session."""
    created_at: Mapped[datetime]
