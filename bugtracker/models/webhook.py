"""What an organisation wants to be told of by HTTP, and what became of it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, Versioned

WebhookStatus = Literal["active", "paused", "suspended"]
Reason = Literal["failing", "gone"]
DeliveryState = Literal["pending", "delivered", "dead"]


class Webhook(Versioned, Base):
    """A subscription: where to send which events.

    ``suspended_at`` is set by the worker, when the receiver has failed for days or is gone.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["org_id", "created_by_id"], ["members.org_id", "members.user_id"]),
        CheckConstraint(
            "(suspended_at IS NULL) = (suspended_because IS NULL)",
            name="webhooks_suspended_for_a_reason",
        ),
        Index(
            "webhooks_by_created_idx",
            "org_id",
            "created_at",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("webhooks_by_creator_idx", "org_id", "created_by_id"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    filter: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool]
    failing_since: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    suspended_because: Mapped[Reason | None] = mapped_column(Text)
    created_by_id: Mapped[UUID]
    deleted_at: Mapped[datetime | None]


class WebhookSecret(Base):
    """A key that deliveries are signed with until it expires; the current one has no end."""

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "webhook_id"], ["webhooks.org_id", "webhooks.id"], ondelete="CASCADE"
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    secret_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class WebhookCursor(Base):
    """How far an organisation's events have been made into deliveries."""

    __tablename__ = "webhook_cursors"

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(BigInteger)
    login_number: Mapped[int] = mapped_column(BigInteger)
    logins_due_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One event for one webhook: sent until the receiver accepts it, or for the last time.

    ``event_id`` of a batch of logins is its first login, ``last_number`` the number of its last.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "webhook_id"], ["webhooks.org_id", "webhooks.id"], ondelete="CASCADE"
        ),
        CheckConstraint(
            "(state = 'pending') = (due_at IS NOT NULL)", name="webhook_deliveries_pending_are_due"
        ),
        Index(
            "webhook_deliveries_due_idx",
            "org_id",
            "webhook_id",
            "due_at",
            "event_id",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "webhook_deliveries_leased_idx",
            "org_id",
            "webhook_id",
            postgresql_where=text("leased_until IS NOT NULL"),
        ),
        Index("webhook_deliveries_by_state_idx", "org_id", "webhook_id", "state", "event_id"),
        Index(
            "webhook_deliveries_by_end_idx",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    last_number: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[DeliveryState] = mapped_column(Text)
    attempts: Mapped[int]
    failures: Mapped[int]
    due_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One request to a receiver, and what came of it: a status, or why there was none."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "webhook_id", "event_id"],
            [
                "webhook_deliveries.org_id",
                "webhook_deliveries.webhook_id",
                "webhook_deliveries.event_id",
            ],
            ondelete="CASCADE",
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)


def secret_place(org_id: UUID, webhook_id: UUID) -> str:
    """The associated data of a webhook's encrypted secrets."""
    return f"webhook_secrets.secret/{org_id}/{webhook_id}"


def status_of(active: bool, suspended_at: datetime | None) -> WebhookStatus:
    """Whether events are sent, and if not, who stopped it: the worker, or somebody here."""
    if suspended_at is not None:
        return "suspended"
    return "active" if active else "paused"
