"""From a syntax tree to a condition, held to the fields of a resource.

``!=`` and ``=out=`` select exactly the rows that ``==`` and ``=in=`` do not, those without a value
included. What is wrong is collected, so that everything is said at once.
"""

import operator
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, true

from bugtracker.context import Context
from bugtracker.errors import Violation
from bugtracker.messages import Message, _, one_of
from bugtracker.rsql.fields import LISTS, NULL, OPERATORS, Field, Fields, Scope, bound
from bugtracker.rsql.kinds import Text
from bugtracker.rsql.tree import And, Comparison, Node, Or, Value
from bugtracker.rsql.wording import found, invalid, violation

NEGATIVE = ("!=", "=out=")
Compare = Callable[[Any, Any], ColumnElement[bool]]
ORDERING: dict[str, Compare] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def filtered(ctx: Context, fields: Fields) -> list[ColumnElement[bool]]:
    """The condition of the request's ``filter``, if it has one. FilterInvalid otherwise."""
    if (text := ctx.query["filter"]) is None:
        return []
    return [compile_filter(text, fields, Scope(ctx.org_id, ctx.user_id, ctx.now))]


def compile_filter(text: str, fields: Fields, scope: Scope) -> ColumnElement[bool]:
    """The condition that a filter stands for. FilterInvalid with all that is wrong with it."""
    # Lark and the tables of the grammar, 3 MB, are for servers that are asked to filter.
    from bugtracker.rsql.parser import parse

    compiler = _Compiler(fields, scope)
    condition = compiler.node(parse(text))
    if compiler.violations:
        raise invalid(compiler.violations)
    return condition


class _Refused(Exception):
    """This comparison has no condition."""

    def __init__(self, code: str, position: int, detail: Message) -> None:
        self.violation = violation(code, position, detail)


class _Compiler:
    def __init__(self, fields: Fields, scope: Scope) -> None:
        self._fields = fields
        self._scope = scope
        self.violations: list[Violation] = []

    def node(self, node: Node) -> ColumnElement[bool]:
        if isinstance(node, And):
            return and_(*(self.node(part) for part in node.parts))
        if isinstance(node, Or):
            return or_(*(self.node(part) for part in node.parts))
        try:
            return self._comparison(node)
        except _Refused as refused:
            self.violations.append(refused.violation)
            return true()

    def _comparison(self, node: Comparison) -> ColumnElement[bool]:
        field = self._field(node)
        _check_operator(node, field)
        if node.operator == NULL:
            condition: ColumnElement[bool] = field.expression.is_(None)
            return condition if _true_or_false(node.values[0]) else field.expression.is_not(None)
        nulls = [each for each in node.values if field.is_missing(each)]
        if nulls:
            _check_null(node, field, nulls[0])
        right = len(self.violations)
        given = [each for each in node.values if not field.is_missing(each)]
        values = [self._read(node, field, each) for each in given]
        if len(self.violations) > right:
            return true()
        if compare := ORDERING.get(node.operator):
            return _ordered(compare, field, values[0])
        return self._equal(node, field, values)

    def _field(self, node: Comparison) -> Field:
        if field := self._fields.get(node.name):
            return field
        raise _Refused(
            "field",
            node.position,
            _(
                "there is no field {name}; fields are {fields}",
                name=found(node.name),
                fields=one_of(self._fields),
            ),
        )

    def _read(self, node: Comparison, field: Field, value: Value) -> Any:
        """The value; None where it is wrong, which is noted, so that the others are read too."""
        if value.stars and isinstance(field.kind, Text) and node.operator in LISTS:
            detail = _(
                "a * stands for anything with == and != only, not with {operator}",
                operator=node.operator,
            )
            self.violations.append(violation("value", value.position, detail))
            return None
        try:
            return field.kind.read(value, self._scope)
        except (ValueError, KeyError, OverflowError):
            detail = _(
                "{name} is {expected}, not {found}",
                name=node.name,
                expected=field.kind.expects,
                found=found(value.text),
            )
            self.violations.append(violation("value", value.position, detail))
            return None

    def _equal(self, node: Comparison, field: Field, values: list[Any]) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool]] = []
        if values:
            conditions.append(field.kind.any_of(field.expression, values, self._scope))
        if len(values) < len(node.values):
            conditions.append(field.expression.is_(None))
        condition = or_(*conditions)
        # Unlike NOT, this is true where a value is missing.
        return condition.is_not(true()) if node.operator in NEGATIVE else condition


def _ordered(compare: Compare, field: Field, value: Any) -> ColumnElement[bool]:
    if field.indexed is None:
        return compare(field.expression, bound(field.expression, value))
    condition = compare(field.indexed, bound(field.indexed, value))
    return and_(condition, field.expression.is_not(None))


def _check_operator(node: Comparison, field: Field) -> None:
    if node.operator not in field.operators:
        words = one_of(each for each in OPERATORS if each in field.operators)
        written = found(node.operator)
        if node.operator in OPERATORS:
            detail = _(
                "{operator} is not for {name}; use {words}",
                operator=written,
                name=node.name,
                words=words,
            )
        else:
            detail = _("{operator} is no operator; use {words}", operator=written, words=words)
        raise _Refused("operator", node.operator_position, detail)
    if len(node.values) > 1 and node.operator not in LISTS:
        detail = _(
            "{operator} takes one value; use =in= or =out= with a list", operator=node.operator
        )
        raise _Refused("operator", node.operator_position, detail)


def _check_null(node: Comparison, field: Field, value: Value) -> None:
    if not field.nullable:
        detail = _('{name} is never null; for the word write "null" in quotes', name=node.name)
        raise _Refused("value", value.position, detail)
    if node.operator in ORDERING:
        detail = _("null is neither less nor greater; use {name}=null=true", name=node.name)
        raise _Refused("value", value.position, detail)


def _true_or_false(value: Value) -> bool:
    if value.text not in ("true", "false"):
        detail = _(
            "{operator} takes true or false, not {found}", operator=NULL, found=found(value.text)
        )
        raise _Refused("value", value.position, detail)
    return value.text == "true"
