"""Writes made-up projects with their issues, comments and history."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bugtracker import models
from bugtracker.ids import new_id
from bugtracker.importing.archives import Progress
from bugtracker.importing.bulk import Row, insert_rows
from bugtracker.importing.identity import imported_id, origin
from bugtracker.importing.rows import event_row
from bugtracker.models import Project
from bugtracker.models.issue import Status
from bugtracker.seeding.drafts import CommentDraft, IssueDraft
from bugtracker.seeding.organisations import Person
from bugtracker.services.project_keys import derive_key

ROWS_AT_ONCE = 500


def create_project(
    session: Session, org_id: UUID, name: str, description: str, creator: Person, now: datetime
) -> UUID:
    """A new project without issues."""
    taken = set(session.scalars(select(Project.key).where(Project.org_id == org_id)))
    project_id, key = new_id(), derive_key(name, taken)
    row = {
        "org_id": org_id,
        "id": project_id,
        "key": key,
        "name": name,
        "description": description,
        "created_by_id": creator.user_id,
        "is_archived": False,
        "last_issue_number": 0,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    insert_rows(session, Project, [row])
    event = event_row(
        org_id,
        "project.created",
        ("project", project_id),
        {"key": key, "name": name, "description": description},
        now,
        actor_id=creator.user_id,
        project_id=project_id,
    )
    insert_rows(session, models.Event, [event])
    return project_id


class ProjectWriter:
    """Numbers the issues of a new project and writes them some hundred at a time."""

    def __init__(
        self, session: Session, org_id: UUID, project_id: UUID, progress: Progress, label: str
    ) -> None:
        self._session, self._org_id, self._project_id = session, org_id, project_id
        self._progress, self._label = progress, label
        self._issues: list[Row] = []
        self._comments: list[Row] = []
        self._events: list[Row] = []
        self.issues = 0
        self.comments = 0

    def write(self, drafts: Iterable[IssueDraft]) -> None:
        """All of them, and the project's last number."""
        for draft in drafts:
            self._add(draft)
            if len(self._issues) + len(self._comments) >= ROWS_AT_ONCE:
                self._flush()
        self._flush()
        self._session.execute(
            update(Project)
            .where(Project.org_id == self._org_id, Project.id == self._project_id)
            .values(last_issue_number=self.issues)
        )

    def _flush(self) -> None:
        insert_rows(self._session, models.Issue, self._issues)
        insert_rows(self._session, models.Comment, self._comments)
        insert_rows(self._session, models.Event, self._events)
        self._progress.advance(len(self._issues) + len(self._comments), self._label)
        for rows in (self._issues, self._comments, self._events):
            rows.clear()

    def _add(self, draft: IssueDraft) -> None:
        self.issues += 1
        issue_id = self._id(draft.steps[0][1], "issue", self.issues)
        status, changed_at = draft.steps[-1]
        fields = {
            "title": draft.title,
            "description": draft.description,
            "priority": draft.priority,
            "assignee_id": draft.assignee.user_id if draft.assignee else None,
            "due_date": draft.due_date,
        }
        self._issues.append(
            {
                "org_id": self._org_id,
                "id": issue_id,
                "project_id": self._project_id,
                "number": self.issues,
                "status": status,
                "reporter_id": draft.reporter.user_id,
                "created_at": draft.steps[0][1],
                "updated_at": changed_at,
                "version": len(draft.steps),
                **fields,
            }
        )
        self._add_history(draft, issue_id, {**fields, "status": draft.steps[0][0]})
        for comment in draft.comments:
            self._add_comment(comment, issue_id)

    def _id(self, moment: datetime, *words: object) -> UUID:
        return imported_id(moment, 0, origin(self._project_id, *words))

    def _add_history(self, draft: IssueDraft, issue_id: UUID, created: dict[str, Any]) -> None:
        (status, moment), *later = draft.steps
        resource = ("issue", issue_id)
        self._events.append(
            self._event("issue.created", resource, issue_id, draft.reporter, moment, created)
        )
        actor = draft.assignee or draft.reporter
        for version, (new, changed_at) in enumerate(later, 2):
            event = self._event("issue.updated", resource, issue_id, actor, changed_at, {})
            changes: dict[str, list[Status]] = {"status": [status, new]}
            self._events.append({**event, "resource_version": version, "changes": changes})
            status = new

    def _add_comment(self, comment: CommentDraft, issue_id: UUID) -> None:
        self.comments += 1
        comment_id = self._id(comment.created_at, "comment", self.comments)
        self._comments.append(
            {
                "org_id": self._org_id,
                "id": comment_id,
                "issue_id": issue_id,
                "author_id": comment.author.user_id,
                "content": comment.content,
                "created_at": comment.created_at,
                "updated_at": comment.created_at,
                "version": 1,
            }
        )
        resource, created = ("comment", comment_id), {"content": comment.content}
        self._events.append(
            self._event(
                "comment.created", resource, issue_id, comment.author, comment.created_at, created
            )
        )

    def _event(
        self,
        action: str,
        resource: tuple[str, UUID],
        issue_id: UUID,
        actor: Person,
        moment: datetime,
        created: dict[str, Any],
    ) -> Row:
        return event_row(
            self._org_id,
            action,
            resource,
            created,
            moment,
            actor_id=actor.user_id,
            project_id=self._project_id,
            issue_id=issue_id,
        )
