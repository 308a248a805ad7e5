"""API keys as the contract shows them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from bugtracker.models.api_key import status_of

Json = dict[str, Any]


def api_key(now: datetime) -> Callable[[Any], Json]:
    """``ApiKey`` of the contract, as it is at a moment."""

    def serialise(row: Any) -> Json:
        return {
            "id": row.id,
            "name": row.name,
            "prefix": row.prefix,
            "scopes": row.scopes,
            "status": status_of(row.revoked_at, row.expires_at, now),
            "created_by_id": row.created_by_id,
            "expires_at": row.expires_at,
            "last_used_at": row.last_used_at,
            "last_used_ip": None if row.last_used_ip is None else str(row.last_used_ip),
            "revoked_at": row.revoked_at,
            "replaced_by_id": row.replaced_by_id,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "version": row.version,
        }

    return serialise
