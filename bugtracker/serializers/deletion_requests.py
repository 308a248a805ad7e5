"""Deletion requests as the contract shows them."""

from typing import Any

from bugtracker.messages import _

Json = dict[str, Any]

ACCOUNT_DELETION = {
    "status": "deletion_started",
    "detail": _(
        "You are logged out everywhere. We send you a last mail, and erase what names you."
    ),
}


def deletion_request(row: Any) -> Json:
    """``DeletionRequest`` of the contract."""
    return {
        "id": row.id,
        "user_id": row.user_id,
        "state": row.state,
        "requested_by_id": row.requested_by_id,
        "decided_by_id": row.decided_by_id,
        "decided_at": row.decided_at,
        "reason": row.reason,
        "events_checked": row.events_checked,
        "done_at": row.done_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }
