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
from bugtracker.models.api_key import ApiKey
from bugtracker.models.attempts import LoginAttempts
from bugtracker.models.audit import EventCommitment, EventSeal
from bugtracker.models.base import Base
from bugtracker.models.comment import Comment
from bugtracker.models.event import Event
from bugtracker.models.idempotency import IdempotencyKey
from bugtracker.models.invitation import Invitation
from bugtracker.models.issue import Issue, IssueDocument
from bugtracker.models.organisation import Member, Organisation
from bugtracker.models.project import Project
from bugtracker.models.two_factor import BackupCode, TwoFactor
from bugtracker.models.webhook import (
    Webhook,
    WebhookAttempt,
    WebhookCursor,
    WebhookDelivery,
    WebhookSecret,
)

__all__ = [
    "Account",
    "ApiKey",
    "BackupCode",
    "Base",
    "Comment",
    "Credential",
    "Event",
    "EventCommitment",
    "EventSeal",
    "IdempotencyKey",
    "Invitation",
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
    "TwoFactor",
    "Username",
    "Webhook",
    "WebhookAttempt",
    "WebhookCursor",
    "WebhookDelivery",
    "WebhookSecret",
]
