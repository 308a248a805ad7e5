"""ORM models of the schema, for the two references that use SQLAlchemy's ORM."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Dialect, ForeignKey, SmallInteger, String, TypeDecorator
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bench.references.common import PRIORITIES, STATUSES


class Ranked(TypeDecorator[str]):
    """A word that is stored as its rank."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else self.words.index(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else self.words[value]


class Base(DeclarativeBase):
    """All timestamps know their zone."""

    type_annotation_map = {datetime: DateTime(timezone=True), str: String}


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    is_active: Mapped[bool]


class Session(Base):
    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Member(Base):
    __tablename__ = "members"

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    role: Mapped[int] = mapped_column(SmallInteger)
    removed_at: Mapped[datetime | None]


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID]
    key: Mapped[str]
    created_by_id: Mapped[UUID]
    is_archived: Mapped[bool]
    last_issue_number: Mapped[int]


class Issue(Base):
    __tablename__ = "issues"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID]
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[str] = mapped_column(Ranked(*STATUSES))
    priority: Mapped[str] = mapped_column(Ranked(*PRIORITIES))
    reporter_id: Mapped[UUID]
    assignee_id: Mapped[UUID | None]
    due_date: Mapped[date | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]

    project: Mapped[Project] = relationship()

    @property
    def key(self) -> str:
        """The name for people."""
        return f"{self.project.key}-{self.number}"


class IssueDocument(Base):
    """What search sees of an issue; written by triggers."""

    __tablename__ = "issue_documents"

    issue_id: Mapped[UUID] = mapped_column(ForeignKey("issues.id"), primary_key=True)
    org_id: Mapped[UUID]
    project_id: Mapped[UUID]
    document: Mapped[str] = mapped_column(TSVECTOR)
