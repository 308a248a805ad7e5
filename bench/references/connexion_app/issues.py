"""Handlers: the operationIds of openapi.yaml."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from connexion.exceptions import ProblemException
from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import joinedload

from bench.references import common
from bench.references.connexion_app.database import session
from bench.references.models import Issue, Project
from bench.references.searching import by_relevance

Caller = dict[str, Any]


def not_found() -> ProblemException:
    return ProblemException(status=404, title="Not Found")


def time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shown(issue: Issue) -> dict[str, Any]:
    return {
        "id": str(issue.id),
        "key": issue.key,
        "number": issue.number,
        "project_id": str(issue.project_id),
        "title": issue.title,
        "description": issue.description,
        "status": issue.status,
        "priority": issue.priority,
        "reporter_id": str(issue.reporter_id),
        "assignee_id": None if issue.assignee_id is None else str(issue.assignee_id),
        "due_date": None if issue.due_date is None else issue.due_date.isoformat(),
        "created_at": time(issue.created_at),
        "updated_at": time(issue.updated_at),
        "version": issue.version,
    }


def visible(caller: Caller) -> Select[Issue]:
    return select(Issue).options(joinedload(Issue.project)).where(Issue.org_id == caller["org_id"])


def get_issue(issue_id: str, token_info: Caller) -> dict[str, Any]:
    with session() as db:
        issue = db.scalar(visible(token_info).where(Issue.id == UUID(issue_id)))
        if issue is None:
            raise not_found()
        return shown(issue)


def list_issues(
    project_id: str,
    token_info: Caller,
    limit: int = 20,
    status: str | None = None,
    priority: str | None = None,
    assignee: str | None = None,
    search: str | None = None,
    sort: str | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    del sort
    statement = visible(token_info).where(Issue.project_id == UUID(project_id))
    if status:
        statement = statement.where(Issue.status == status)
    if priority:
        statement = statement.where(Issue.priority == priority)
    if assignee:
        statement = statement.where(Issue.assignee_id == UUID(assignee))
    if search:
        statement = by_relevance(statement, token_info["org_id"], UUID(project_id), search)
    else:
        statement = statement.order_by(Issue.created_at.desc(), Issue.id.desc())
    if cursor:
        value, identity = common.decode_cursor(cursor)
        here = (datetime.fromisoformat(value), UUID(identity))
        statement = statement.where(tuple_(Issue.created_at, Issue.id) < here)
    with session() as db:
        issues = list(db.scalars(statement.limit(limit + 1)))
        next_cursor = None
        if len(issues) > limit:
            issues = issues[:limit]
            next_cursor = common.encode_cursor(issues[-1].created_at, issues[-1].id)
        items = [shown(issue) for issue in issues]
    return {"items": items, "next_cursor": next_cursor, "limit": limit}


def typed(body: dict[str, Any]) -> dict[str, Any]:
    fields = dict(body)
    if fields.get("assignee_id"):
        fields["assignee_id"] = UUID(fields["assignee_id"])
    if fields.get("due_date"):
        fields["due_date"] = date.fromisoformat(fields["due_date"])
    return fields


def create_issue(
    project_id: str, body: dict[str, Any], token_info: Caller
) -> tuple[dict[str, Any], int]:
    if token_info["role"] == common.AUDITOR:
        raise ProblemException(status=403, title="Forbidden")
    with session() as db:
        project = db.scalar(
            select(Project)
            .where(Project.org_id == token_info["org_id"], Project.id == UUID(project_id))
            .with_for_update()
        )
        if project is None:
            raise not_found()
        if project.is_archived:
            raise ProblemException(status=409, title="Conflict")
        project.last_issue_number += 1
        now = datetime.now(UTC)
        issue = Issue(
            id=uuid_utils.compat.uuid7(),
            org_id=token_info["org_id"],
            project=project,
            number=project.last_issue_number,
            status="open",
            reporter_id=UUID(token_info["sub"]),
            created_at=now,
            updated_at=now,
            version=1,
            **{"description": "", "priority": "medium", **typed(body)},
        )
        db.add(issue)
        db.flush()
        return shown(issue), 201


def update_issue(issue_id: str, body: dict[str, Any], token_info: Caller) -> dict[str, Any]:
    with session() as db:
        issue = db.scalar(
            visible(token_info).where(Issue.id == UUID(issue_id)).with_for_update(of=Issue)
        )
        if issue is None:
            raise not_found()
        people = (issue.reporter_id, issue.assignee_id, issue.project.created_by_id)
        if not common.may_change(token_info["role"], UUID(token_info["sub"]), *people):
            raise ProblemException(status=403, title="Forbidden")
        patch = typed(body)
        allowed = common.TRANSITIONS[issue.status] | {issue.status}
        if issue.project.is_archived or patch.get("status", issue.status) not in allowed:
            raise ProblemException(status=409, title="Conflict")
        for name, value in patch.items():
            setattr(issue, name, value)
        issue.version += 1
        issue.updated_at = datetime.now(UTC)
        db.flush()
        return shown(issue)
