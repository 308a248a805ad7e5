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
from bugtracker.models.comment import Comment, CommentDocument
from bugtracker.models.deletion import DeletionRequest
from bugtracker.models.event import Event
from bugtracker.models.export import Export, ExportChunk
from bugtracker.models.idempotency import IdempotencyKey
from bugtracker.models.invitation import Invitation
from bugtracker.models.issue import Issue, IssueDocument
from bugtracker.models.job import BackgroundJob
from bugtracker.models.login import LoginDaily, LoginDay, LoginEvent
from bugtracker.models.organisation import Member, Organisation, OrganisationSettings
from bugtracker.models.partner import (
    Partner,
    PartnerKey,
    PartnerNonce,
    Provisioning,
    ProvisioningStep,
)
from bugtracker.models.project import Project
from bugtracker.models.request_count import RequestHour, RequestMinute
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
    "BackgroundJob",
    "BackupCode",
    "Base",
    "Comment",
    "CommentDocument",
    "Credential",
    "DeletionRequest",
    "Event",
    "EventCommitment",
    "EventSeal",
    "Export",
    "ExportChunk",
    "IdempotencyKey",
    "Invitation",
    "Issue",
    "IssueDocument",
    "LoginAttempts",
    "LoginDaily",
    "LoginDay",
    "LoginEvent",
    "Member",
    "OneTimeToken",
    "Organisation",
    "OrganisationSettings",
    "Partner",
    "PartnerKey",
    "PartnerNonce",
    "Project",
    "Provisioning",
    "ProvisioningStep",
    "RefreshToken",
    "RequestHour",
    "RequestMinute",
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
