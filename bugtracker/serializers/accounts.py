"""Accounts and tokens as the contract shows them."""

from typing import Any

from bugtracker.security.permissions import permissions_of
from bugtracker.security.principal import Principal
from bugtracker.services.logins import Challenge
from bugtracker.services.sessions import TokenPair

Json = dict[str, Any]


def token_pair(pair: TokenPair) -> Json:
    """``TokenPair`` of the contract."""
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
    }


def challenge(waiting: Challenge) -> Json:
    """``TwoFactorChallenge`` of the contract."""
    return {"challenge": waiting.challenge, "expires_in": waiting.expires_in}


def me(row: Any, principal: Principal) -> Json:
    """``Me`` of the contract: the account, and what it may do in the session's organisation."""
    return {
        "id": row.id,
        "username": row.username,
        "name": row.name,
        "language": row.language,
        "email": row.email,
        "verified": row.verified_at is not None,
        "role": principal.role,
        "is_active": row.is_active,
        "created_at": row.created_at,
        "last_login": row.last_login,
        "login_count": row.login_count,
        "version": row.version,
        "org_id": principal.org_id,
        "permissions": permissions_of(principal.role),
    }


def activity_entry(row: Any) -> Json:
    """``ActivityEntry`` of the contract: one event, its changed fields in order."""
    return {
        "id": row.id,
        "action": row.action,
        "org_id": row.org_id,
        "details": [
            {"field": field, "old": old, "new": new} for field, (old, new) in row.changes.items()
        ],
        "created_at": row.created_at,
    }
