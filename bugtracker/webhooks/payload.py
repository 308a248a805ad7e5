"""The body of a message, made of the event as it stands when it is sent.

So an event that was anonymised meanwhile goes out anonymised. Ids and what is needed to decide
whether to ask for more; no long texts, no addresses, no names of people.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson

from bugtracker.webhooks.types import LOGIN_BATCH

Json = dict[str, Any]

SHOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "user": ("role", "verified", "removed", "linked_to"),
        "invitation": ("role",),
        "project": ("key", "name", "is_archived"),
        "issue": ("title", "status", "priority", "assignee_id", "due_date"),
        "comment": (),
    }
)
"""Type of the thing → the fields whose old and new values are told."""


def message(name: str, row: Any) -> Json:
    """``WebhookMessage`` of the contract: an event of this type.

    ``row`` has the columns of an event, and its id as ``event_id``.
    """
    return _envelope(name, row) | {
        "data": {
            "number": row.number,
            "actor_id": row.actor_id,
            "resource": {
                "type": row.resource_type,
                "id": row.resource_id,
                "version": row.resource_version,
            },
            "project_id": row.project_id,
            "issue_id": row.issue_id,
            "changes": _changes(row.resource_type, row.changes),
        }
    }


def login_batch(row: Any, logins: Iterable[Any]) -> Json:
    """``WebhookLoginBatch`` of the contract; ``row`` is the first login."""
    return _envelope(LOGIN_BATCH, row) | {
        "data": {
            "logins": [
                {"event_id": each.id, "user_id": each.account_id, "created_at": each.created_at}
                for each in logins
            ]
        }
    }


def encoded(body: Json) -> bytes:
    """The bytes that are signed and sent."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def _envelope(name: str, row: Any) -> Json:
    organisation_id: UUID = row.org_id
    return {
        "id": row.event_id,
        "type": name,
        "created_at": row.created_at,
        "organisation_id": organisation_id,
    }


def _changes(resource_type: str, changes: Mapping[str, Any]) -> list[Json]:
    return [
        {"field": field, "old": changes[field][0], "new": changes[field][1]}
        for field in SHOWN.get(resource_type, ())
        if field in changes
    ]
