"""Rows and entities of the tracker as the contract shows them. No queries here."""

from typing import Any

from bugtracker import markdown

Json = dict[str, Any]


def project(row: Any) -> Json:
    """``Project`` of the contract."""
    return {
        "id": row.id,
        "key": row.key,
        "name": row.name,
        "description": row.description,
        "created_by_id": row.created_by_id,
        "is_archived": row.is_archived,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }


def project_ref(row: Any) -> Json:
    """``ProjectRef`` of the contract."""
    return {"id": row.id, "key": row.key, "name": row.name, "is_archived": row.is_archived}


def issue(row: Any, *, project_key: str | None = None, html: bool = False) -> Json:
    """``Issue`` of the contract; ``html`` adds the rendered description."""
    body = {
        "id": row.id,
        "key": f"{project_key or row.project_key}-{row.number}",
        "number": row.number,
        "project_id": row.project_id,
        "title": row.title,
        "description": row.description,
        "status": row.status,
        "priority": row.priority,
        "reporter_id": row.reporter_id,
        "assignee_id": row.assignee_id,
        "due_date": row.due_date,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }
    if html:
        body["description_html"] = markdown.render(row.description)
    return body


def comment(row: Any, *, html: bool = False) -> Json:
    """``Comment`` of the contract; ``html`` adds the rendered content."""
    body = {
        "id": row.id,
        "issue_id": row.issue_id,
        "author_id": row.author_id,
        "content": row.content,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }
    if html:
        body["content_html"] = markdown.render(row.content)
    return body


def history_entry(row: Any) -> Json:
    """``HistoryEntry`` of the contract: one event, its changed fields in order."""
    actor = None
    if row.actor_id is not None:
        actor = {"id": row.actor_id, "username": row.username, "name": row.name}
    return {
        "id": row.id,
        "action": row.action,
        "actor": actor,
        "changes": [
            {"field": field, "old": old, "new": new} for field, (old, new) in row.changes.items()
        ],
        "version": row.version,
        "created_at": row.created_at,
    }
