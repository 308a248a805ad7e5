"""Partner systems, and the organisations they have asked for. Global tables."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.messages import Message
from bugtracker.models.base import Base, words_of

ProvisioningState = Literal["pending", "running", "completed", "compensating", "failed"]
UNFINISHED: tuple[ProvisioningState, ...] = ("pending", "running", "compensating")
"""States in which a worker has something to do."""

StepName = Literal["organisation", "owner", "settings", "project", "invitation"]
STEPS: tuple[StepName, ...] = words_of(StepName)
"""In the order in which they are done; they are undone the other way round."""

PARTNERS = "partner"
"""Where people of an organisation come from who are the partner system that had it made."""


class Partner(Base):
    """A system that may found organisations for others. Its name is what their owners see."""

    __tablename__ = "partners"
    __table_args__ = (Index("partners_name_key", text("lower(name)"), unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class PartnerKey(Base):
    """What a partner signs with: a key that names it (only its SHA-256 is kept), and a secret.

    ``expires_at`` is None but for a key that was rotated: when its overlap ends.
    """

    __tablename__ = "partner_keys"
    __table_args__ = (Index("partner_keys_key_hash_key", "key_hash", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.id"), index=True)
    prefix: Mapped[str] = mapped_column(Text)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    secret_encrypted: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


def partner_secret_place(key_id: UUID) -> str:
    """The associated data of an encrypted secret."""
    return f"partner_keys.secret/{key_id}"


class PartnerNonce(Base):
    """A nonce that a signed request came with, until its timestamp is too old anyway."""

    __tablename__ = "partner_nonces"

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.id"), primary_key=True)
    nonce: Mapped[str] = mapped_column(Text, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Provisioning(Base):
    """A saga: an organisation that a partner asked for under a reference of its own.

    ``organisation_id`` is chosen before there is an organisation. ``request`` is the body of the
    request, until it is done or undone: it has an address of somebody's. ``attempts`` counts the
    runs since the last step that succeeded.
    """

    __tablename__ = "provisionings"
    __table_args__ = (
        UniqueConstraint("partner_id", "reference"),
        Index(
            "provisionings_unfinished_idx",
            "updated_at",
            postgresql_where=text("state IN ('pending', 'running', 'compensating')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.id"))
    reference: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    request: Mapped[dict[str, Any] | None]
    state: Mapped[ProvisioningState] = mapped_column(Text)
    organisation_id: Mapped[UUID]
    failure_code: Mapped[str | None] = mapped_column(Text)
    failure_detail: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int]
    request_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def fail(self, code: str, detail: Message) -> None:
        """Has what was done so far undone, and says why."""
        self.state = "compensating"
        self.failure_code, self.failure_detail = code, str(detail)


class ProvisioningStep(Base):
    """A step of a saga. What was undone was done before."""

    __tablename__ = "provisioning_steps"

    provisioning_id: Mapped[UUID] = mapped_column(ForeignKey("provisionings.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[StepName] = mapped_column(Text)
    finished_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
