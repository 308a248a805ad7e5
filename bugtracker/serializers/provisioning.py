"""What partners asked for, as the contract shows it."""

from collections.abc import Sequence
from typing import Any

from bugtracker.messages import recalled

Json = dict[str, Any]


def provisioning(rows: Sequence[Any]) -> Json:
    """``Provisioning`` of the contract, of the rows of its steps. The organisation is named once
    it is whole."""
    row = rows[0]
    failure = {"code": row.failure_code, "detail": recalled(row.failure_detail or "")}
    return {
        "reference": row.reference,
        "status": row.state,
        "organisation_id": row.organisation_id if row.state == "completed" else None,
        "steps": [_step(each) for each in rows],
        "failure": failure if row.failure_code else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _step(row: Any) -> Json:
    status = "undone" if row.undone_at else "done" if row.finished_at else "pending"
    return {
        "name": row.name,
        "status": status,
        "finished_at": row.finished_at,
        "undone_at": row.undone_at,
    }
