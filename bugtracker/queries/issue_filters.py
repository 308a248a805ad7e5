"""What issues can be filtered by."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, func, or_, select

from bugtracker.messages import _
from bugtracker.models import Issue, Project
from bugtracker.models.issue import PRIORITIES, STATUSES
from bugtracker.paging import date_sort
from bugtracker.queries.people import PEOPLE
from bugtracker.rsql import Field, Fields, Scope, kinds
from bugtracker.rsql.fields import Kind
from bugtracker.rsql.tree import Value
from bugtracker.security.named import ISSUE_KEY


def _people(scope: Scope, usernames: list[str]) -> Select[UUID]:
    """An account and imported people may share a username: all of them."""
    lowered = [func.lower(each) for each in usernames]
    return select(PEOPLE.c.user_id).where(
        PEOPLE.c.org_id == scope.org_id, func.lower(PEOPLE.c.username).in_(lowered)
    )


def _projects(scope: Scope, keys: list[str]) -> Select[UUID]:
    return select(Project.id).where(
        Project.org_id == scope.org_id, Project.key.in_([key.upper() for key in keys])
    )


class IssueKey(Kind):
    """``TLS-42``: the key of the joined project and a number."""

    expects = _("a key such as TLS-42")

    def read(self, value: Value, scope: Scope) -> tuple[str, int]:  # noqa: ARG002
        if not (match := ISSUE_KEY.fullmatch(value.text)):
            raise ValueError
        return match[1].upper(), int(match[2])

    def any_of(
        self,
        expression: SQLColumnExpression[Any],
        values: list[Any],
        scope: Scope,  # noqa: ARG002
    ) -> ColumnElement[bool]:
        return or_(*(and_(Project.key == key, expression == number) for key, number in values))


PERSON = kinds.Reference(_("a username, an id, or me"), _people, me=True)
PROJECT = kinds.Reference(_("a project's key or id"), _projects, unique=True)

FIELDS: Fields = {
    "id": Field(Issue.id, kinds.Uuid()),
    "key": Field(Issue.number, IssueKey()),
    "number": Field(Issue.number, kinds.Integer()),
    "title": Field(Issue.title, kinds.Text()),
    "status": Field(Issue.status, kinds.Words(STATUSES)),
    "priority": Field(Issue.priority, kinds.Words(PRIORITIES)),
    "project": Field(Issue.project_id, PROJECT),
    "archived": Field(Project.is_archived, kinds.Boolean()),
    "reporter": Field(Issue.reporter_id, PERSON),
    "assignee": Field(Issue.assignee_id, PERSON, nullable=True),
    "due_date": Field(
        Issue.due_date,
        kinds.Date(),
        nullable=True,
        indexed=date_sort(Issue.due_date).expression,
    ),
    "created_at": Field(Issue.created_at, kinds.Timestamp()),
    "updated_at": Field(Issue.updated_at, kinds.Timestamp()),
}
