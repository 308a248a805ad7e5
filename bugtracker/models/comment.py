"""Comments."""

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, Versioned


class Comment(Versioned, Base):
    """A remark on an issue. Never deleted: the API's database role has no right to."""

    __tablename__ = "comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "issue_id"], ["issues.org_id", "issues.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["org_id", "author_id"], ["members.org_id", "members.user_id"]),
        Index("comments_by_created_idx", "org_id", "issue_id", "created_at", "id"),
        Index("comments_by_author_idx", "org_id", "author_id"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID]
    author_id: Mapped[UUID]
    content: Mapped[str] = mapped_column(Text)


class CommentDocument(Base):
    """What search sees of a comment by itself. Written by database
    triggers, and by imports for what they insert."""

    __tablename__ = "comment_documents"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "comment_id"], ["comments.org_id", "comments.id"], ondelete="CASCADE"
        ),
        Index("comment_documents_document_idx", "document", postgresql_using="gin"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    comment_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    document: Mapped[str] = mapped_column(TSVECTOR)
