"""The types of fields. Every value becomes a bound parameter; none is ever part of the SQL."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    func,
    or_,
)

from bugtracker.messages import Message, _, one_of
from bugtracker.rsql.fields import EQUAL, LISTS, ORDER, Kind, Scope, bound
from bugtracker.rsql.tree import Value

MOST_INTEGER = 2**31 - 1
MOST_NAME = 100
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
RELATIVE = re.compile(r"([+-]?[0-9]{1,4})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Plain(Kind):
    """Values that PostgreSQL compares as they are."""

    def any_of(
        self,
        expression: SQLColumnExpression[Any],
        values: list[Any],
        scope: Scope,  # noqa: ARG002
    ) -> ColumnElement[bool]:
        if len(values) == 1:
            return expression == bound(expression, values[0])
        return expression.in_(values)


class Text(Kind):
    """Text in any case. Behind == and != a ``*`` stands for anything."""

    expects = _("a text")

    def read(self, value: Value, scope: Scope) -> str:  # noqa: ARG002
        """The pattern for LIKE."""
        stars = set(value.stars)
        pieces = (
            "%" if offset in stars else "\\" + char if char in "\\%_" else char
            for offset, char in enumerate(value.text)
            if not {offset - 1, offset} <= stars
        )
        return "".join(pieces)

    def any_of(
        self,
        expression: SQLColumnExpression[Any],
        values: list[Any],
        scope: Scope,  # noqa: ARG002
    ) -> ColumnElement[bool]:
        return or_(*(func.lower(expression).like(func.lower(each)) for each in values))


class Uuid(Plain):
    expects = _("an id such as 01956177-5bd3-7b79-8822-1140e4b348cb")

    def read(self, value: Value, scope: Scope) -> UUID:  # noqa: ARG002
        return _uuid(value.text)


class Boolean(Plain):
    operators = EQUAL
    expects = _("true or false")

    def read(self, value: Value, scope: Scope) -> bool:  # noqa: ARG002
        return {"true": True, "false": False}[value.text]


class Integer(Plain):
    operators = (*EQUAL, *ORDER, *LISTS)
    expects = _("a whole number of at most {limit}", limit=MOST_INTEGER)

    def read(self, value: Value, scope: Scope) -> int:  # noqa: ARG002
        if not re.fullmatch(r"-?[0-9]{1,10}", value.text) or abs(int(value.text)) > MOST_INTEGER:
            raise ValueError
        return int(value.text)


class Timestamp(Plain):
    operators = (*EQUAL, *ORDER, *LISTS)
    expects = _(
        "a time such as 2025-03-04T14:02:47Z, a date such as 2025-03-04 (its midnight in UTC), "
        "or one counted from now such as -7d, -12h, -30m, -2w (write + as %2B in a URL)"
    )

    def read(self, value: Value, scope: Scope) -> datetime:
        if match := RELATIVE.fullmatch(value.text):
            return scope.now + timedelta(**{UNITS[match[2]]: int(match[1])})
        if TIMESTAMP.fullmatch(value.text):
            return datetime.fromisoformat(value.text.upper())
        day = _date(value.text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)


class Date(Plain):
    operators = (*EQUAL, *ORDER, *LISTS)
    expects = _("a date such as 2025-03-31, or one counted from today such as 7d, -2w, 0d")

    def read(self, value: Value, scope: Scope) -> date:
        if match := RELATIVE.fullmatch(value.text):
            if match[2] not in "dw":
                raise ValueError
            return scope.now.astimezone(UTC).date() + timedelta(**{UNITS[match[2]]: int(match[1])})
        return _date(value.text)


class Words(Plain):
    """An enumeration, compared in its declared order."""

    operators = (*EQUAL, *ORDER, *LISTS)

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self.expects = one_of(words)

    def read(self, value: Value, scope: Scope) -> str:  # noqa: ARG002
        if value.text not in self._words:
            raise ValueError
        return value.text


class Reference(Kind):
    """Something named by its id, or by a name that is looked up in the same statement.

    ``lookup`` selects the ids of what has one of these names; ``unique`` says that a name has one
    at most, which lets an index of the expression serve the list. A name that nothing has
    selects nothing.
    """

    def __init__(
        self,
        expects: Message,
        lookup: Callable[[Scope, list[str]], Select[UUID]],
        *,
        unique: bool = False,
        me: bool = False,
    ) -> None:
        self.expects = expects
        self._lookup = lookup
        self._unique = unique
        self._me = me
        # As the parameter `assignee` has it.
        self.nothing = ("none",) if me else ()

    def read(self, value: Value, scope: Scope) -> UUID | str:
        if self._me and value.text == "me" and not value.quoted:
            return scope.user_id
        if ID.fullmatch(value.text):
            return UUID(value.text)
        if value.stars or not 1 <= len(value.text) <= MOST_NAME:
            raise ValueError
        return value.text

    def any_of(
        self, expression: SQLColumnExpression[Any], values: list[Any], scope: Scope
    ) -> ColumnElement[bool]:
        ids = [each for each in values if isinstance(each, UUID)]
        names = [each for each in values if isinstance(each, str)]
        conditions: list[ColumnElement[bool]] = []
        if ids:
            conditions.append(expression == ids[0] if len(ids) == 1 else expression.in_(ids))
        if names:
            found = self._lookup(scope, names)
            alone = self._unique and len(names) == 1
            conditions.append(
                expression == found.scalar_subquery() if alone else expression.in_(found)
            )
        return or_(*conditions)


def _uuid(text: str) -> UUID:
    if not ID.fullmatch(text):
        raise ValueError
    return UUID(text)


def _date(text: str) -> date:
    if not DATE.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)
