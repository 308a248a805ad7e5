"""Organisations and the people in them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, OrderedEnum, Versioned, words_of

Role = Literal["owner", "admin", "manager", "developer", "member", "auditor"]
ROLES: tuple[Role, ...] = words_of(Role)


class Organisation(Versioned, Base):
    """A tenant."""

    __tablename__ = "organisations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)


class Member(Versioned, Base):
    """A person in an organisation: an account with a role, or somebody imported.

    ``user_id`` is the account's id for those who have one. Imported people have no account and
    cannot log in; their username is unique per source inside the organisation only.
    """

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint(
            "(account_id = user_id AND imported_username IS NULL AND imported_from IS NULL)"
            " OR (account_id IS NULL AND imported_username IS NOT NULL"
            " AND imported_from IS NOT NULL)",
            name="members_are_accounts_or_imported",
        ),
        Index(
            "members_account_id_idx",
            "account_id",
            postgresql_where=text("account_id IS NOT NULL"),
        ),
        Index(
            "members_imported_key",
            "org_id",
            "imported_from",
            text('lower(imported_username COLLATE "C")'),
            unique=True,
            postgresql_where=text("account_id IS NULL"),
        ),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    role: Mapped[Role] = mapped_column(
        OrderedEnum(*ROLES),
        comment="rank of owner, admin, manager, developer, member, auditor (0 to 5)",
    )
    imported_from: Mapped[str | None] = mapped_column(Text)
    imported_username: Mapped[str | None] = mapped_column(Text)
    imported_name: Mapped[str | None] = mapped_column(Text)
    removed_at: Mapped[datetime | None]
