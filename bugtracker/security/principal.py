"""Who makes a request."""

from dataclasses import dataclass
from uuid import UUID

from bugtracker.models.organisation import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A live session of an active account, and the role it has in the session's organisation.

    ``org_id`` and ``role`` are None together: a session that can only manage the account.
    Or a live API key, which acts as its creator: then there is ``api_key_id`` instead of
    ``session_id``, and only what is in ``scopes`` counts of what the role may do.
    """

    account_id: UUID
    session_id: UUID | None
    username: str
    org_id: UUID | None = None
    role: Role | None = None
    scopes: frozenset[str] | None = None
    api_key_id: UUID | None = None
    language: str | None = None
    """The person's own setting."""


@dataclass(frozen=True, slots=True)
class PartnerPrincipal:
    """A partner system that signed the request. It is nobody in any organisation."""

    id: UUID
    name: str
