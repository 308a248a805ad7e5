"""Columns, and the rules of a single object."""

from bugtracker.models.account import (
    Account,
    Credential,
    OneTimeToken,
    RefreshToken,
    Session,
    SigningKey,
    Username,
)
from bugtracker.models.attempts import LoginAttempts
from bugtracker.models.audit import EventCommitment, EventSeal
from bugtracker.models.base import Base
from bugtracker.models.comment import Comment
from bugtracker.models.event import Event
from bugtracker.models.idempotency import IdempotencyKey
from bugtracker.models.issue import Issue, IssueDocument
from bugtracker.models.organisation import Member, Organisation
from bugtracker.models.project import Project

__all__ = [
    "Account",
    "Base",
    "Comment",
    "Credential",
    "Event",
    "EventCommitment",
    "EventSeal",
    "IdempotencyKey",
    "Issue",
    "IssueDocument",
    "LoginAttempts",
    "Member",
    "OneTimeToken",
    "Organisation",
    "Project",
    "RefreshToken",
    "Session",
    "SigningKey",
    "Username",
]
