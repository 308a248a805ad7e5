"""Projects."""

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.errors import ProjectArchived
from bugtracker.messages import _
from bugtracker.models.base import Base, Versioned


class Project(Versioned, Base):
    """A container of issues. Never deleted by the API: archived."""

    __tablename__ = "projects"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["org_id", "created_by_id"], ["members.org_id", "members.user_id"]),
        UniqueConstraint("org_id", "key", name="projects_org_id_key_key"),
        Index("projects_org_id_name_key", "org_id", text("lower(name)"), unique=True),
        Index("projects_by_created_idx", "org_id", "created_at", "id"),
        Index("projects_by_creator_idx", "org_id", "created_by_id"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="")
    created_by_id: Mapped[UUID]
    is_archived: Mapped[bool] = mapped_column(default=False)
    last_issue_number: Mapped[int] = mapped_column(default=0)

    def require_writable(self) -> None:
        """Raises 409 when archived: its issues can be read, not written."""
        if self.is_archived:
            raise ProjectArchived(
                _("Project {key} is archived; unarchive it to change it.", key=self.key)
            )
