"""People of an organisation as the contract shows them."""

from collections.abc import Sequence
from typing import Any

from bugtracker.login_analytics.windows import Window
from bugtracker.models.organisation import Role
from bugtracker.security.permissions import permissions_of

Json = dict[str, Any]


def user(row: Any) -> Json:
    """``User`` of the contract."""
    return {
        "id": row.id,
        "username": row.username,
        "name": row.name,
        "email": row.email,
        "verified": row.verified,
        "role": row.role,
        "is_active": row.is_active,
        "imported_from": row.imported_from,
        "linked_to_id": row.linked_to,
        "created_at": row.created_at,
        "removed_at": row.removed_at,
        "last_login": row.last_login,
        "login_count": row.login_count,
        "updated_at": row.updated_at,
        "version": row.version,
    }


def top_logins(rows: Sequence[Any], window: Window, limit: int) -> Json:
    """``TopLogins`` of the contract. There is one row without a person where there is nobody."""
    return {
        "window": window.name,
        "from": window.first,
        "to": window.last,
        "logins": rows[0].logins,
        "people": rows[0].people,
        "limit": limit,
        "items": [
            {"user": person(row), "logins": row.own_logins} for row in rows if row.id is not None
        ],
    }


def person(row: Any) -> Json:
    """``Person`` of the contract: whom something names."""
    return {"id": row.id, "username": row.username, "name": row.name}


def organisation(row: Any) -> Json:
    """``UserOrganisation`` of the contract: where somebody is, and as what."""
    return {"id": row.id, "slug": row.slug, "name": row.name, "role": row.role}


def role(name: Role) -> Json:
    """``UserRole`` of the contract."""
    return {"role": name, "permissions": permissions_of(name)}
