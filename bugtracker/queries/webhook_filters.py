"""What a webhook's own filter can name: public fields of an event, and values it changed to."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, case, type_coerce

from bugtracker.models import Event
from bugtracker.models.base import OrderedEnum
from bugtracker.models.issue import PRIORITIES, STATUSES
from bugtracker.models.organisation import ROLES
from bugtracker.rsql import Field, Fields, Scope, kinds
from bugtracker.rsql.tree import Value


class IdInText(kinds.Plain):
    """An id where the database has text."""

    expects = kinds.Uuid.expects

    def read(self, value: Value, scope: Scope) -> str:  # noqa: ARG002
        if not kinds.ID.fullmatch(value.text):
            raise ValueError
        return str(UUID(value.text))


def _new(field: str) -> SQLColumnExpression[Any]:
    """The value that the event changed a field to; null where it changed another one."""
    text: SQLColumnExpression[Any] = Event.changes[field][1].astext
    return text


def _rank(field: str, words: tuple[str, ...]) -> ColumnElement[Any]:
    """The new value of an enumeration, in its declared order. Roles are recorded by name, too."""
    ranks = {word: rank for rank, word in enumerate(words)}
    return type_coerce(case(ranks, value=_new(field)), OrderedEnum(*words))


FIELDS: Fields = {
    "actor": Field(Event.actor_id, kinds.Uuid(), nullable=True),
    "resource_id": Field(Event.resource_id, kinds.Uuid()),
    "project_id": Field(Event.project_id, kinds.Uuid(), nullable=True),
    "issue_id": Field(Event.issue_id, kinds.Uuid(), nullable=True),
    "title": Field(_new("title"), kinds.Text(), nullable=True),
    "status": Field(_rank("status", STATUSES), kinds.Words(STATUSES), nullable=True),
    "priority": Field(_rank("priority", PRIORITIES), kinds.Words(PRIORITIES), nullable=True),
    "assignee_id": Field(_new("assignee_id"), IdInText(), nullable=True),
    "role": Field(_rank("role", ROLES), kinds.Words(ROLES), nullable=True),
}
