"""Paging, written once: signed cursors over a keyset, or numbered pages.

A list statement selects its columns; :func:`paginate` adds order, position and limit. The id is
always the tie-break, in the same direction as the sort, so one row comparison finds the next page
and an index on ``(…, sort, id)`` serves it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Row,
    SQLColumnExpression,
    bindparam,
    func,
    literal,
    select,
    tuple_,
)

from bugtracker.context import Context, Reply
from bugtracker.db import Rows
from bugtracker.errors import CursorInvalid, RequestInvalid, Violation

TAG_LENGTH = 16

Serialise = Callable[[Row[*tuple[Any, ...]]], dict[str, Any]]


@dataclass(frozen=True)
class Sort:
    """A sortable expression, never null, and how its values come back out of a cursor."""

    expression: SQLColumnExpression[Any]
    decode: Callable[[Any], Any] = lambda value: value


def time_sort(expression: SQLColumnExpression[Any]) -> Sort:
    """Sorts by a timestamp."""
    return Sort(expression, datetime.fromisoformat)


def date_sort(expression: SQLColumnExpression[Any]) -> Sort:
    """Sorts by a date."""
    return Sort(expression, date.fromisoformat)


@dataclass(frozen=True)
class Sorts:
    """What a list may be sorted by: name in the contract → expression, and the id column."""

    by: Mapping[str, Sort]
    identity: SQLColumnExpression[UUID]
    default: str

    def chosen(self, name: str | None) -> tuple[str, Sort, bool]:
        """(name with sign, sort, descending) for the ``sort`` parameter."""
        name = name or self.default
        return name, self.by[name.removeprefix("-")], name.startswith("-")


@dataclass
class Page:
    """One page of rows and what leads to the others."""

    rows: Sequence[Row[*tuple[Any, ...]]]
    envelope: dict[str, Any]
    links: dict[str, dict[str, Any]]

    def reply(
        self, ctx: Context, serialise: Callable[[Row[*tuple[Any, ...]]], dict[str, Any]]
    ) -> Reply:
        """The list envelope of the API conventions, with a Link header (RFC 8288)."""
        body = {"items": [serialise(row) for row in self.rows], **self.envelope}
        link = ", ".join(
            f'<{ctx.target}?{_query_string({**ctx.given_query, **change})}>; rel="{rel}"'
            for rel, change in self.links.items()
        )
        return Reply(body, headers={"Link": link} if link else {})


def paginate(ctx: Context, statement: Rows, sorts: Sorts) -> Page:
    """Runs one page of a list: by ``cursor`` (default) or by ``page``.

    Query parameters read: ``limit``, ``sort``, ``cursor``, ``page``. 400 when both of the last
    two are given or the cursor is not one of ours for this very query.
    """
    if ctx.query.get("page") is not None:
        if ctx.query.get("cursor") is not None:
            violation = Violation("exclusive", "excludes page", parameter="cursor")
            raise RequestInvalid("Use either page or cursor.", errors=[violation])
        return _numbered(ctx, statement, sorts)
    return _keyset(ctx, statement, sorts)


def _ordered(statement: Rows, sorts: Sorts, sort: Sort, descending: bool) -> Rows:
    keys = (sort.expression, sorts.identity)
    return statement.add_columns(sort.expression.label("_sort")).order_by(
        *(key.desc() if descending else key.asc() for key in keys)
    )


def _keyset(ctx: Context, statement: Rows, sorts: Sorts) -> Page:
    limit: int = ctx.query["limit"]
    name, sort, descending = sorts.chosen(ctx.query.get("sort"))
    scope = _fingerprint(ctx, name)
    ordered = _ordered(statement, sorts, sort, descending)
    if ctx.query.get("cursor") is not None:
        value, identity = _decode_cursor(ctx, ctx.query["cursor"], scope, sort)
        here = tuple_(sort.expression, sorts.identity)
        there = tuple_(
            bindparam(None, value, type_=cast(ColumnElement[Any], sort.expression).type),
            literal(identity),
        )
        ordered = ordered.where(here < there if descending else here > there)
    rows = ctx.session.execute(ordered.limit(limit + 1)).all()
    next_cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        next_cursor = _encode_cursor(ctx, rows[-1], scope)
    links = {"next": {"cursor": next_cursor}} if next_cursor else {}
    return Page(rows, {"next_cursor": next_cursor, "limit": limit}, links)


def _numbered(ctx: Context, statement: Rows, sorts: Sorts) -> Page:
    limit, page = ctx.query["limit"], ctx.query["page"]
    _, sort, descending = sorts.chosen(ctx.query.get("sort"))
    total = ctx.session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    ordered = _ordered(statement, sorts, sort, descending)
    rows = ctx.session.execute(ordered.limit(limit).offset((page - 1) * limit)).all()
    last = max(1, -(-total // limit))
    links = {"first": {"page": 1}}
    if page > 1:
        links["prev"] = {"page": min(page - 1, last)}
    if page < last:
        links["next"] = {"page": page + 1}
    links["last"] = {"page": last}
    return Page(rows, {"next_cursor": None, "limit": limit, "page": page, "total": total}, links)


def _fingerprint(ctx: Context, sort: str) -> bytes:
    """Binds a cursor to tenant, operation, filters and order: it opens no other list."""
    filters = {k: v for k, v in ctx.given_query.items() if k not in ("cursor", "limit", "render")}
    message = [ctx.org_id, ctx.target, sort, filters]
    return hashlib.sha256(orjson.dumps(message, option=orjson.OPT_SORT_KEYS)).digest()


def _encode_cursor(ctx: Context, row: Row[*tuple[Any, ...]], scope: bytes) -> str:
    payload = orjson.dumps([row._mapping["_sort"], row.id])
    tag = ctx.runtime.keyring.sign(scope + payload)[:TAG_LENGTH]
    return base64.urlsafe_b64encode(tag + payload).decode().rstrip("=")


def _decode_cursor(ctx: Context, cursor: str, scope: bytes, sort: Sort) -> tuple[Any, UUID]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raw = b""
    tag, payload = raw[:TAG_LENGTH], raw[TAG_LENGTH:]
    if not hmac.compare_digest(tag, ctx.runtime.keyring.sign(scope + payload)[:TAG_LENGTH]):
        violation = Violation("cursor", "is not a cursor of this list", parameter="cursor")
        raise CursorInvalid(
            "Use next_cursor of the page before, with the same filters and sort.",
            errors=[violation],
        )
    value, identity = orjson.loads(payload)
    return sort.decode(value), UUID(identity)


def _query_string(parameters: Mapping[str, Any]) -> str:
    flat = {
        name: ",".join(value) if isinstance(value, list) else _text(value)
        for name, value in parameters.items()
    }
    return urlencode(flat, safe=",")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
