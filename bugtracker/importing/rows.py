"""Rows of events, for those who write many at once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from bugtracker.ids import new_id
from bugtracker.importing.bulk import Row


def event_row(
    org_id: UUID,
    action: str,
    resource: tuple[str, UUID],
    created: Mapping[str, Any],
    now: datetime,
    *,
    actor_id: UUID | None = None,
    project_id: UUID | None = None,
    issue_id: UUID | None = None,
) -> Row:
    """The event of something that came into being, with the fields worth telling.

    ``resource`` is type and id; fields that are None or empty are left out.
    """
    return {
        "id": new_id(),
        "org_id": org_id,
        "action": action,
        "actor_id": actor_id,
        "resource_type": resource[0],
        "resource_id": resource[1],
        "resource_version": 1,
        "project_id": project_id,
        "issue_id": issue_id,
        "changes": changes(created),
        "created_at": now,
    }


def changes(created: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What an event tells of a new thing's fields; those that are None or empty are left out."""
    return {field: [None, value] for field, value in created.items() if value}


def timestamp(moment: datetime | None) -> str | None:
    """A UTC moment as the API writes it."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
