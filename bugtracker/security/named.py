"""The one project or issue that a request names, by id or by key.

Statements about an issue are made once for both; a project's key is looked up before.
"""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, select

from bugtracker.context import Context
from bugtracker.db import given
from bugtracker.models import Issue, Project

ISSUE_KEY = re.compile(r"([A-Za-z][A-Za-z0-9]{1,9})-([1-9][0-9]{0,8})")
PROJECT_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]{1,9}")
OF_KEY = select(Project.id).where(
    Project.org_id == given(Project.org_id), Project.key == given(Project.key)
)
NO_PROJECT = UUID(int=0)
"""What is as missing as any id that nothing has."""


def project_named(ctx: Context, ref: str) -> UUID:
    """The id of the project that is called so in the caller's organisation, NO_PROJECT for a key
    that none has."""
    if PROJECT_KEY.fullmatch(ref) is None:
        return UUID(ref)
    found: UUID | None = ctx.read(OF_KEY, org_id=ctx.org_id, key=ref.upper()).scalar_one_or_none()
    return found or NO_PROJECT


def parse_issue_key(ref: str) -> tuple[str, int] | None:
    """The project's key and the issue's number; None for what is an id."""
    match = ISSUE_KEY.fullmatch(ref)
    return None if match is None else (match[1].upper(), int(match[2]))


def project_of_key(org_id: Any, key: Any) -> ScalarSelect[UUID]:
    """The id of an organisation's project of this key."""
    named = select(Project.id).where(Project.org_id == org_id, Project.key == key)
    return named.scalar_subquery()


def in_same_project() -> ColumnElement[bool]:
    """Joins issues with their project."""
    return and_(Project.org_id == Issue.org_id, Project.id == Issue.project_id)


def issue_named(org_id: UUID, ref: str) -> ColumnElement[bool]:
    """The condition on Issue for an issue's id or key in an organisation, within statements."""
    if (parsed := parse_issue_key(ref)) is None:
        return and_(Issue.org_id == org_id, Issue.id == UUID(ref))
    return _of_key(org_id, *parsed)


def _of_key(org_id: Any, key: Any, number: Any) -> ColumnElement[bool]:
    # Looked up first rather than joined: all three columns of the unique index are known.
    in_project = Issue.project_id == project_of_key(org_id, key)
    return and_(Issue.org_id == org_id, in_project, Issue.number == number)


class OfIssue:
    """A statement about one issue, for the one of an id and for the one of a key.

    ``about`` makes it of the condition on Issue that names it.
    """

    def __init__(self, about: Callable[[ColumnElement[bool]], Select[*tuple[Any, ...]]]) -> None:
        org_id = given(Issue.org_id)
        self._by_id = about(and_(Issue.org_id == org_id, Issue.id == given(Issue.id)))
        self._by_key = about(_of_key(org_id, given(Project.key), given(Issue.number)))

    def named(self, org_id: UUID, ref: str) -> tuple[Select[*tuple[Any, ...]], dict[str, Any]]:
        """The statement, and the values in it, for the issue that is called so."""
        if (parsed := parse_issue_key(ref)) is None:
            return self._by_id, {"org_id": org_id, "id": UUID(ref)}
        key, number = parsed
        return self._by_key, {"org_id": org_id, "key": key, "number": number}
