"""Every refusal that a client can meet, by status. Their form is in :mod:`problems`."""

from bugtracker.messages import _
from bugtracker.problems import PROBLEM_MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from bugtracker.problems import AppError as AppError
from bugtracker.problems import Violation as Violation
from bugtracker.problems import all_errors as all_errors
from bugtracker.problems import problem as problem
from bugtracker.problems import problem_bytes as problem_bytes
from bugtracker.problems import problem_headers as problem_headers
from bugtracker.problems import raw_headers as raw_headers

# 400: the request breaks the contract


class RequestInvalid(AppError):
    status, code, title = 400, "request_invalid", _("The request is not valid")


class RequestMalformed(AppError):
    """The bytes are not an HTTP request we can read: encoding, framing, JSON syntax."""

    status, code, title = 400, "request_malformed", _("The request cannot be read")


class CursorInvalid(AppError):
    status, code, title = 400, "cursor_invalid", _("The cursor is not valid")


class FilterInvalid(AppError):
    status, code, title = 400, "filter_invalid", _("The filter is not valid")


# 401, 403, 404: who are you, may you, does it exist for you


class AuthenticationRequired(AppError):
    status, code, title = 401, "authentication_required", _("Authentication is required")


class TokenInvalid(AppError):
    status, code, title = 401, "token_invalid", _("The access token is not valid")


class CredentialsInvalid(AppError):
    """The failed attempt is recorded."""

    status, code, title = 401, "credentials_invalid", _("Wrong account or password")
    commits = True


class TwoFactorInvalid(AppError):
    """The failed attempt is recorded."""

    status, code, title = 401, "two_factor_invalid", _("The code or the challenge is not valid")
    commits = True


class PartnerCredentialsInvalid(AppError):
    """Whatever is wrong: key, timestamp, nonce or signature. The log says which."""

    status, code, title = (
        401,
        "partner_credentials_invalid",
        _("The request is not signed as agreed"),
    )


class RefreshTokenInvalid(AppError):
    status, code, title = 401, "refresh_token_invalid", _("The refresh token is not valid")


class RefreshTokenReused(RefreshTokenInvalid):
    """Same answer as any bad refresh token; the revoked family must be committed."""

    commits = True


class PermissionDenied(AppError):
    status, code, title = 403, "permission_denied", _("You may not do this")


class OrganisationRequired(AppError):
    status, code, title = 403, "organisation_required", _("The session has no organisation")


class OrganisationNotCurrent(AppError):
    """Known to the caller, who is a member of it."""

    status, code, title = (
        403,
        "organisation_not_current",
        _("The token is for another organisation"),
    )


class SessionRequired(AppError):
    """For API keys, where somebody's own account is meant."""

    status, code, title = 403, "session_required", _("A session is required")


class OriginNotAllowed(AppError):
    status, code, title = 403, "origin_not_allowed", _("This origin is not allowed")


class ResourceNotFound(AppError):
    status, code, title = 404, "resource_not_found", _("Not found")


class MethodNotAllowed(AppError):
    status, code, title = 405, "method_not_allowed", _("The method is not allowed here")


# 409: the state forbids it


class IssueTransitionNotAllowed(AppError):
    status, code, title = (
        409,
        "issue_transition_not_allowed",
        _("This status change is not allowed"),
    )


class IssueCommentRequired(AppError):
    status, code, title = (
        409,
        "issue_comment_required",
        _("A critical issue needs a comment to close"),
    )


class ProjectArchived(AppError):
    status, code, title = 409, "project_archived", _("The project is archived")


class ProjectNameTaken(AppError):
    status, code, title = 409, "project_name_taken", _("The project name is taken")


class ProjectKeyTaken(AppError):
    status, code, title = 409, "project_key_taken", _("The project key is taken")


class InvitationClosed(AppError):
    status, code, title = 409, "invitation_closed", _("The invitation was accepted or revoked")


class InvitationPending(AppError):
    status, code, title = 409, "invitation_pending", _("The address is invited already")


class MemberExists(AppError):
    status, code, title = 409, "member_exists", _("The person is a member already")


class OrganisationSlugTaken(AppError):
    status, code, title = 409, "organisation_slug_taken", _("The slug is taken")


class OrganisationSlugReserved(AppError):
    """The deployment's open organisation is found by its slug; only the operator chooses it."""

    status, code, title = 409, "organisation_slug_reserved", _("The slug is the operator's")


class OwnerRequired(AppError):
    status, code, title = 409, "owner_required", _("An organisation needs an owner")


class UserLinked(AppError):
    status, code, title = 409, "user_linked", _("This person was linked to a member")


class UserErased(AppError):
    status, code, title = 409, "user_erased", _("This person was erased")


class DeletionRequested(AppError):
    status, code, title = 409, "deletion_requested", _("The deletion is requested already")


class DeletionDecided(AppError):
    status, code, title = 409, "deletion_decided", _("The request was decided already")


class UsernameTaken(AppError):
    status, code, title = 409, "username_taken", _("The username is taken")


class TwoFactorEnabled(AppError):
    status, code, title = 409, "two_factor_enabled", _("There is a second factor already")


class TwoFactorNotEnabled(AppError):
    status, code, title = 409, "two_factor_not_enabled", _("There is no second factor")


class TwoFactorNotEnrolled(AppError):
    status, code, title = 409, "two_factor_not_enrolled", _("There is no authenticator to confirm")


class ApiKeyNotActive(AppError):
    status, code, title = 409, "api_key_not_active", _("The API key cannot be rotated")


class ExportNotReady(AppError):
    status, code, title = 409, "export_not_ready", _("The export is still being made")


class ProvisioningNotCompleted(AppError):
    status, code, title = (
        409,
        "provisioning_not_completed",
        _("The organisation is not whole (yet)"),
    )


class WebhookLimitReached(AppError):
    status, code, title = 409, "webhook_limit_reached", _("There are too many webhooks")


class WebhookNotActive(AppError):
    status, code, title = 409, "webhook_not_active", _("The webhook is paused or suspended")


class IdempotencyKeyInUse(AppError):
    status, code, title = 409, "idempotency_key_in_use", _("The first request is still at work")


# 4xx, the rest


class RequestTimeout(AppError):
    status, code, title = 408, "request_timeout", _("The request took too long to arrive")


class ExportGone(AppError):
    status, code, title = 410, "export_gone", _("There is nothing to download any more")


class CursorExpired(AppError):
    status, code, title = 410, "cursor_expired", _("The cursor has expired")


class PreconditionFailed(AppError):
    status, code, title = 412, "precondition_failed", _("Somebody changed it in the meantime")


class PreconditionRequired(AppError):
    status, code, title = 428, "precondition_required", _("Say which version you are changing")


class BodyTooLarge(AppError):
    status, code, title = 413, "body_too_large", _("The request body is too large")


class UriTooLong(AppError):
    status, code, title = 414, "uri_too_long", _("The request target is too long")


class MediaTypeNotSupported(AppError):
    status, code, title = 415, "media_type_not_supported", _("The media type is not supported")


class AssigneeInvalid(AppError):
    status, code, title = 422, "assignee_invalid", _("This person cannot be assigned")


class LinkInvalid(AppError):
    status, code, title = 422, "link_invalid", _("These two cannot be linked")


class SuccessorInvalid(AppError):
    status, code, title = 422, "successor_invalid", _("This person cannot become the owner")


class ApiKeyScopeNotHeld(AppError):
    status, code, title = (
        422,
        "api_key_scope_not_held",
        _("You cannot give a scope you do not have"),
    )


class WebhookUrlNotAllowed(AppError):
    status, code, title = 422, "webhook_url_not_allowed", _("Nothing can be sent to this URL")


class ContentInvalid(AppError):
    status, code, title = 422, "content_invalid", _("Nothing is left of the text")


class VerificationTokenInvalid(AppError):
    status, code, title = 422, "verification_token_invalid", _("The link is not valid any more")


class CurrentPasswordWrong(AppError):
    """Not 401: the access token is fine, and a client must not refresh it and try again."""

    status, code, title = 422, "current_password_wrong", _("The current password is another one")
    commits = True


class TwoFactorCodeWrong(AppError):
    """Like :class:`CurrentPasswordWrong`, for the second factor."""

    status, code, title = 422, "two_factor_code_wrong", _("The code is not valid")
    commits = True


class MagicLinkInvalid(AppError):
    status, code, title = 422, "magic_link_invalid", _("The link is not valid any more")


class ResetTokenInvalid(AppError):
    status, code, title = 422, "reset_token_invalid", _("The link is not valid any more")


class InvitationTokenInvalid(AppError):
    status, code, title = 422, "invitation_token_invalid", _("The invitation is not valid any more")


class AccountRequired(AppError):
    """The token stays good."""

    status, code, title = 422, "account_required", _("Choose a username and a password")


class PasswordTooWeak(AppError):
    status, code, title = 422, "password_too_weak", _("The password is too weak")


class ProvisioningReferenceReused(AppError):
    status, code, title = (
        422,
        "provisioning_reference_reused",
        _("The reference belongs to another request"),
    )


class IdempotencyKeyReused(AppError):
    status, code, title = 422, "idempotency_key_reused", _("The key belongs to another request")


class RateLimitExceeded(AppError):
    status, code, title = 429, "rate_limit_exceeded", _("Too many requests")


# 5xx


class InternalError(AppError):
    status, code, title = 500, "internal_error", _("Something went wrong on our side")

    def __init__(self) -> None:
        super().__init__(_("The error has been logged. Quote the request id when you report it."))


class ServiceUnavailable(AppError):
    status, code, title = 503, "service_unavailable", _("The service is temporarily unavailable")
