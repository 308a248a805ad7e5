"""Replies that carry one item."""

from typing import Any

from bugtracker.context import Reply


def item(row: Any, body: dict[str, Any]) -> Reply:
    """200 with an ETag from the row's version."""
    return Reply(body, version=row.version)


def created(row: Any, body: dict[str, Any], location: str) -> Reply:
    """201 with where it is now."""
    return Reply(body, status=201, version=row.version, headers={"Location": location})


def accepted(job: dict[str, Any]) -> Reply:
    """202 with the job that does the work, and where to look at it."""
    return Reply(job, status=202, headers={"Location": f"/api/jobs/{job['id']}"})
