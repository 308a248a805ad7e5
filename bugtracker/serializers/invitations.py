"""Invitations as the contract shows them."""

from typing import Any

from bugtracker.services.joining import Joined

Json = dict[str, Any]


def invitation(row: Any) -> Json:
    """``Invitation`` of the contract."""
    return {
        "id": row.id,
        "email": row.email,
        "role": row.role,
        "state": row.state,
        "invited_by_id": row.invited_by_id,
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }


def joined(found: Joined) -> Json:
    """``InvitationAccepted`` of the contract."""
    return {
        "username": found.account.username,
        "email": found.account.email,
        "account_created": found.account_created,
        "org_id": found.organisation.id,
        "organisation": found.organisation.name,
        "role": found.role,
    }
