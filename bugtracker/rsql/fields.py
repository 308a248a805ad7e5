"""What a resource lets people filter by: the allow-list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, SQLColumnExpression, bindparam

from bugtracker.messages import Message
from bugtracker.rsql.tree import Value

EQUAL = ("==", "!=")
LISTS = ("=in=", "=out=")
ORDER = ("<", "<=", ">", ">=")
NULL = "=null="
OPERATORS = (*EQUAL, *ORDER, *LISTS, NULL)


@dataclass(frozen=True)
class Scope:
    """What values such as ``me`` and ``-7d`` are relative to."""

    org_id: UUID
    user_id: UUID
    now: datetime


class Kind:
    """A type of field: which operators it has, how its values are read and compared.

    ``expects`` says in words what a value looks like.
    """

    operators: tuple[str, ...] = (*EQUAL, *LISTS)
    expects: Message
    nothing: tuple[str, ...] = ()
    """Words beside null for a missing value, where the field may have none."""

    def read(self, value: Value, scope: Scope) -> Any:
        """The value in Python; ValueError when it is none, with what to change if that says more
        than ``expects``.
        """
        raise NotImplementedError

    def any_of(
        self, expression: SQLColumnExpression[Any], values: list[Any], scope: Scope
    ) -> ColumnElement[bool]:
        """The condition that the expression equals one of the values read."""
        raise NotImplementedError


@dataclass(frozen=True)
class Field:
    """A name of the filter language: an expression and its kind.

    Only ``nullable`` ones can be compared with null.
    """

    expression: SQLColumnExpression[Any]
    kind: Kind
    nullable: bool = False
    indexed: SQLColumnExpression[Any] | None = None
    """What an index has instead, where there is a value equal to the expression."""

    @property
    def operators(self) -> tuple[str, ...]:
        """Those that may stand behind the name."""
        return (*self.kind.operators, NULL) if self.nullable else self.kind.operators

    def is_missing(self, value: Value) -> bool:
        """Whether the value stands for having none."""
        is_word = self.nullable and not value.quoted and value.text in self.kind.nothing
        return value.is_null or is_word


Fields = Mapping[str, Field]


def bound(expression: SQLColumnExpression[Any], value: Any) -> BindParameter[Any]:
    """The value as a parameter of the expression's type."""
    return bindparam(None, value, type_=cast(ColumnElement[Any], expression).type)
