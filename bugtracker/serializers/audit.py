"""Events as the audit log shows them."""

from typing import Any

from bugtracker.audit.verifying import Report

Json = dict[str, Any]


def event(row: Any) -> Json:
    """``AuditEvent`` of the contract."""
    return {
        "id": row.id,
        "number": row.number,
        "action": row.action,
        "actor": _actor(row),
        "resource": {
            "type": row.resource_type,
            "id": row.resource_id,
            "version": row.resource_version,
        },
        "project_id": row.project_id,
        "issue_id": row.issue_id,
        "changes": [_change(field, pair) for field, pair in row.changes.items()],
        "request_id": row.request_id,
        "api_key_id": row.api_key_id,
        "created_at": row.created_at,
    }


def _actor(row: Any) -> Json | None:
    if row.actor_id is None:
        return None
    return {"id": row.actor_id, "username": row.username, "name": row.name}


def _change(field: str, pair: Any) -> Json:
    old, new = pair
    return {"field": field, "old": old, "new": new}


def verification(report: Report) -> Json:
    """``AuditVerification`` of the contract."""
    first = report.first_problem
    return {
        "ok": report.ok,
        "sealed_to": report.sealed_to,
        "seal": report.seal.hex() if report.seal else None,
        "numbered_to": report.numbered_to,
        "checked_from": report.checked_from,
        "checked_to": report.checked_to,
        "next_number": report.next_number,
        "problem_count": report.problem_count,
        "first_problem": None if first is None else {"number": first.number, "kind": first.kind},
    }
