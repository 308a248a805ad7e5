"""Jobs as the contract shows them."""

from typing import Any

Json = dict[str, Any]


def job(row: Any) -> Json:
    """``Job`` of the contract."""
    is_there = row.export_id is not None
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "created_by_id": row.created_by_id,
        "subject_id": row.subject_id,
        "done": row.done,
        "total": row.total,
        "result_url": f"/api/exports/{row.export_id}/download" if is_there else None,
        "result_expires_at": row.expires_at,
        "problem": row.problem,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
