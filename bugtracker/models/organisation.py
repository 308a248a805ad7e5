"""Organisations and the people in them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.models.base import Base, OrderedEnum, Versioned, words_of

Role = Literal["owner", "admin", "manager", "developer", "member", "auditor"]
ROLES: tuple[Role, ...] = words_of(Role)

ERASED = "erased"
"""Where those come from of whom nothing is known any more."""
ERASED_NAME = "Deleted user"
Language = Literal["en", "hi", "de"]
DEFAULT_LANGUAGE: Language = "en"


class Organisation(Versioned, Base):
    """A tenant."""

    __tablename__ = "organisations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)


class OrganisationSettings(Versioned, Base):
    """What an organisation has chosen for all of its people; without a row, the defaults."""

    __tablename__ = "organisation_settings"

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    language: Mapped[Language] = mapped_column(Text)


class Member(Versioned, Base):
    """A person in an organisation: an account with a role, or somebody imported or written down.

    ``user_id`` is the account's id for those who have one. The others have no account and cannot
    log in; their username is unique per source inside the organisation only. ``linked_to`` is the
    member whom such a person turned out to be: the row stays, removed, for what names it. So does
    the row of somebody who was erased.
    """

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint(
            "(account_id = user_id AND imported_username IS NULL AND imported_from IS NULL)"
            " OR (account_id IS NULL AND imported_username IS NOT NULL"
            " AND imported_from IS NOT NULL)",
            name="members_are_accounts_or_imported",
        ),
        CheckConstraint(
            "linked_to IS NULL OR (account_id IS NULL AND removed_at IS NOT NULL)",
            name="members_linked_are_gone",
        ),
        ForeignKeyConstraint(["org_id", "linked_to"], ["members.org_id", "members.user_id"]),
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
        Index(
            "members_by_last_login_idx",
            "org_id",
            text(
                "(CASE WHEN last_login IS NULL THEN '-infinity'::timestamp with time zone"
                " ELSE last_login END)"
            ),
            "user_id",
            postgresql_where=text("removed_at IS NULL AND account_id IS NOT NULL"),
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
    erased_login: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Keyed hash of the login that somebody imported had, by which the next import knows them."""
    removed_at: Mapped[datetime | None]
    linked_to: Mapped[UUID | None]
    last_login: Mapped[datetime | None]
    """The last login into this organisation; the account's own is nobody else's business."""
    login_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))

    @property
    def is_erased(self) -> bool:
        """Whether a deletion request was carried out for this person."""
        return self.imported_from == ERASED

    def erase(self, now: datetime, login: bytes | None) -> None:
        """Forgets who it was, but for the hash of an imported ``login``. The id stays, for what
        names it; the placeholder is made of it."""
        self.account_id, self.erased_login = None, login
        self.imported_from, self.imported_name = ERASED, ERASED_NAME
        self.imported_username = f"deleted-{self.user_id.hex}"
        self.last_login, self.login_count = None, 0
        self.removed_at = self.removed_at or now
        self.touch(now)

    def belongs_to(self, account_id: UUID) -> None:
        """Somebody who was erased and has come back is known by their account again."""
        self.account_id = account_id
        self.imported_from = self.imported_username = self.imported_name = None
