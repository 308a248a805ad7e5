"""Issues, and the rules of a single issue."""

from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy import Date, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.errors import IssueTransitionNotAllowed
from bugtracker.messages import _, one_of
from bugtracker.models.base import Base, OrderedEnum, Versioned, words_of

Status = Literal["open", "in_progress", "resolved", "closed", "reopened"]
STATUSES: tuple[Status, ...] = words_of(Status)
Priority = Literal["low", "medium", "high", "critical"]
PRIORITIES: tuple[Priority, ...] = words_of(Priority)

TRANSITIONS: dict[Status, tuple[Status, ...]] = {
    "open": ("in_progress",),
    "in_progress": ("resolved",),
    "resolved": ("closed", "reopened"),
    "closed": ("reopened",),
    "reopened": ("in_progress",),
}


class Issue(Versioned, Base):
    """A bug or task of a project."""

    __tablename__ = "issues"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "project_id"], ["projects.org_id", "projects.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["org_id", "reporter_id"], ["members.org_id", "members.user_id"]),
        ForeignKeyConstraint(
            ["org_id", "assignee_id"],
            ["members.org_id", "members.user_id"],
            ondelete="SET NULL (assignee_id)",
        ),
        UniqueConstraint("org_id", "project_id", "number"),
        Index("issues_by_created_idx", "org_id", "project_id", "created_at", "id"),
        Index("issues_by_updated_idx", "org_id", "project_id", "updated_at", "id"),
        Index("issues_by_priority_idx", "org_id", "project_id", "priority", "id"),
        Index("issues_by_status_idx", "org_id", "project_id", "status", "id"),
        Index(
            "issues_by_due_idx",
            "org_id",
            "project_id",
            text("(CASE WHEN due_date IS NULL THEN 'infinity'::date ELSE due_date END)"),
            "id",
        ),
        Index("issues_by_status_created_idx", "org_id", "project_id", "status", "created_at", "id"),
        Index("issues_by_assignee_idx", "org_id", "assignee_id", "created_at", "id"),
        Index("issues_by_reporter_idx", "org_id", "reporter_id", "created_at", "id"),
        Index("issues_of_org_by_created_idx", "org_id", "created_at", "id"),
        Index("issues_of_org_by_updated_idx", "org_id", "updated_at", "id"),
        Index("issues_of_org_by_priority_idx", "org_id", "priority", "id"),
        Index("issues_of_org_by_status_idx", "org_id", "status", "id"),
        Index(
            "issues_of_org_by_due_idx",
            "org_id",
            text("(CASE WHEN due_date IS NULL THEN 'infinity'::date ELSE due_date END)"),
            "id",
        ),
        Index("issues_of_org_by_status_created_idx", "org_id", "status", "created_at", "id"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    number: Mapped[int]
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[Status] = mapped_column(OrderedEnum(*STATUSES), default="open")
    priority: Mapped[Priority] = mapped_column(OrderedEnum(*PRIORITIES), default="medium")
    reporter_id: Mapped[UUID]
    assignee_id: Mapped[UUID | None]
    due_date: Mapped[date | None] = mapped_column(Date)

    def require_transition(self, to: Status) -> None:
        """Raises 409 with the allowed next states when ``to`` is not one of them."""
        allowed = TRANSITIONS[self.status]
        if to != self.status and to not in allowed:
            raise IssueTransitionNotAllowed(
                _(
                    "An issue that is {status} can become {allowed}, not {to}.",
                    status=self.status,
                    allowed=one_of(allowed),
                    to=to,
                ),
                current_status=self.status,
                allowed=list(allowed),
            )

    def needs_comment(self, status: Status) -> bool:
        """Whether the issue, as it is now, must have a comment to be in this status (T6)."""
        return status == "closed" and self.priority == "critical"


class IssueDocument(Base):
    """What search sees of an issue. Written by database triggers, and by
    imports for what they insert."""

    __tablename__ = "issue_documents"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "issue_id"], ["issues.org_id", "issues.id"], ondelete="CASCADE"
        ),
        Index("issue_documents_document_idx", "document", postgresql_using="gin"),
        Index("issue_documents_by_project_idx", "org_id", "project_id", "issue_id"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    document: Mapped[str] = mapped_column(TSVECTOR)
