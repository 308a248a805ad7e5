"""What an organisation holds about a person, as an archive that can be downloaded once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base


class Export(Base):
    """An archive, made by the job of the same id. There is something to download from ``ready_at``
    until ``downloaded_at``, ``expires_at`` or ``cleared_at``, whichever is first."""

    __tablename__ = "exports"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "id"], ["background_jobs.org_id", "background_jobs.id"], ondelete="CASCADE"
        ),
        Index(
            "exports_uncleared_idx",
            "org_id",
            "expires_at",
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    with_account: Mapped[bool]
    """Whether the person asked themself: then the account's data is in it, too."""
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    chunk_count: Mapped[int | None]
    expires_at: Mapped[datetime]
    """Before it is ready, when it is given up."""
    ready_at: Mapped[datetime | None]
    downloaded_at: Mapped[datetime | None]
    cleared_at: Mapped[datetime | None]
    """When what was left of it was deleted."""


class ExportChunk(Base):
    """A piece of an archive, encrypted; deleted in the statement that reads it."""

    __tablename__ = "export_chunks"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "export_id"], ["exports.org_id", "exports.id"], ondelete="CASCADE"
        ),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    export_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content_encrypted: Mapped[bytes] = mapped_column(LargeBinary)


def chunk_place(org_id: UUID, export_id: UUID, number: int) -> str:
    """The associated data of an encrypted chunk."""
    return f"export_chunks.content/{org_id}/{export_id}/{number}"
