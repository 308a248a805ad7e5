"""What makes it noticed when somebody changes the record of events."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class EventSeal(Base):
    """One link of an organisation's chain: the events ``from_number`` to ``to_number``.

    ``leaves`` holds the 32-byte hash of each, in order; ``seal`` is the keyed hash over them and
    ``previous``, the seal before.
    """

    __tablename__ = "event_seals"
    __table_args__ = (
        CheckConstraint("from_number BETWEEN 1 AND to_number", name="event_seals_cover_events"),
        Index("event_seals_org_id_from_number_key", "org_id", "from_number", unique=True),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    to_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    from_number: Mapped[int] = mapped_column(BigInteger)
    leaves: Mapped[bytes]
    previous: Mapped[bytes]
    key_id: Mapped[bytes]
    seal: Mapped[bytes]
    sealed_at: Mapped[datetime]


class EventCommitment(Base):
    """What the chain covers instead of an event's personal values.

    The names of the fields that hold them, and an HMAC of the values under ``salt``. Without the
    salt, which goes when the values are anonymised, it tells nothing about them.
    """

    __tablename__ = "event_commitments"

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    fields: Mapped[list[str]] = mapped_column(ARRAY(Text))
    salt: Mapped[bytes | None]
    commitment: Mapped[bytes]
