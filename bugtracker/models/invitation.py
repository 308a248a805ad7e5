"""Invitations into an organisation."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bugtracker.errors import InvitationClosed
from bugtracker.messages import _
from bugtracker.models.base import Base, OrderedEnum, Versioned
from bugtracker.models.organisation import ROLES, Role

State = Literal["pending", "expired", "accepted", "revoked"]


class Invitation(Versioned, Base):
    """An address that may join with a role. Open until it is accepted or revoked; an address has
    one open invitation at most. Only the SHA-256 of the mailed token is kept."""

    __tablename__ = "invitations"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "invited_by_id"], ["members.org_id", "members.user_id"]),
        Index(
            "invitations_open_key",
            "org_id",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
        Index(
            "invitations_token_hash_idx",
            "token_hash",
            postgresql_where=text("token_hash IS NOT NULL"),
        ),
    )

    org_id: Mapped[UUID] = mapped_column(
        ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(
        OrderedEnum(*ROLES),
        comment="rank of owner, admin, manager, developer, member, auditor (0 to 5)",
    )
    invited_by_id: Mapped[UUID]
    """Who answers for it: whoever sent it last."""
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer, perhaps in vain by now."""
        return self.accepted_at is None and self.revoked_at is None

    def require_open(self) -> None:
        """Raises 409 when it was accepted or revoked."""
        if not self.is_open:
            raise InvitationClosed(
                _("The invitation was accepted; make another one.")
                if self.accepted_at
                else _("The invitation was revoked; make another one.")
            )

    def revoke(self, now: datetime) -> None:
        """Takes it back; the mailed link is worthless."""
        self.revoked_at, self.token_hash = now, None
        self.touch(now)
