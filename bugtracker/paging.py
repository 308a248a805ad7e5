"""Paging, written once: signed cursors over a keyset, or numbered pages.

A list statement selects its columns; :func:`paginate` adds order, position and limit. The id is
always the tie-break, in the same direction as the sort, so one row comparison finds the next page
and an index on ``(…, sort, id)`` serves it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Row,
    SQLColumnExpression,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from bugtracker import cursors
from bugtracker.context import Context, Reply
from bugtracker.db import Rows
from bugtracker.errors import CursorInvalid, RequestInvalid, Violation
from bugtracker.messages import _
from bugtracker.security.permissions import ACCOUNT

# As in the contract. Who reads on behind it needs a cursor: an offset is counted off row by row.
MAX_PAGE = 10_000

# What changes how many rows a page has and how they look, but neither which rows nor their order.
SHOW_ONLY = ("cursor", "limit", "render", "fields", "include")

MOST = bindparam("most", None, type_=Integer)
"""The place of how many rows, from the first or the cursor on, are needed; null: all."""

PAGE_ROWS = bindparam("page_rows", type_=Integer)

Place = tuple[str, bool]
"""An order, and whether the page is one behind a cursor."""

Serialise = Callable[[Row[*tuple[Any, ...]]], dict[str, Any]]


@dataclass(frozen=True)
class Sort:
    """A sortable expression, never null, and how its values come back out of a cursor."""

    expression: SQLColumnExpression[Any]
    decode: Callable[[Any], Any] = lambda value: value
    kept: SQLColumnExpression[Any] | None = None
    """What a cursor keeps of a row, where that is not the expression itself."""
    unique: bool = False
    """No two rows of a list are equal in it, so its index needs no id behind it."""
    behind: Callable[[Any, UUID], Mapping[str, Any]] | None = None
    """Values for a statement that can begin behind a row by itself, from what a cursor keeps."""

    def keys(self, identity: SQLColumnExpression[UUID]) -> list[SQLColumnExpression[Any]]:
        """What the list is ordered by."""
        return [self.expression] if self.unique else [self.expression, identity]


def time_sort(expression: SQLColumnExpression[Any]) -> Sort:
    """Sorts by a timestamp."""
    return Sort(expression, datetime.fromisoformat)


def last_time_sort(column: SQLColumnExpression[datetime | None]) -> Sort:
    """Sorts by when something last happened; where it never did comes before every time."""
    never = literal_column("'-infinity'::timestamptz", DateTime(timezone=True))
    return Sort(
        case((column.is_(None), never), else_=column),
        decode=lambda value: "-infinity" if value is None else datetime.fromisoformat(value),
        kept=column,
    )


def date_sort(column: SQLColumnExpression[date | None]) -> Sort:
    """Sorts by a date; without one comes after every date, as in PostgreSQL's own order.

    With CASE, which PostgreSQL knows to be leakproof, unlike coalesce(): under row-level security
    only then is a cursor's condition one on the index.
    """
    never = literal_column("'infinity'::date", Date)
    return Sort(
        case((column.is_(None), never), else_=column),
        # Python has no infinite date: the cursor keeps null, PostgreSQL gets the word.
        decode=lambda value: "infinity" if value is None else date.fromisoformat(value),
        kept=column,
    )


Order = tuple[ColumnElement[Any], tuple[ColumnElement[Any], ...]]


@dataclass(frozen=True)
class Sorts:
    """What a list may be sorted by: name in the contract → expression, and the id column."""

    by: Mapping[str, Sort]
    identity: SQLColumnExpression[UUID]
    default: str
    _orders: dict[str, Order] = field(default_factory=dict, init=False, compare=False)
    _pages: "WeakKeyDictionary[Rows, dict[Place, Rows]]" = field(
        default_factory=WeakKeyDictionary, init=False, compare=False
    )

    def chosen(self, name: str | None) -> tuple[str, Sort, bool]:
        """(name with sign, sort, descending) for the ``sort`` parameter."""
        name = name or self.default
        return name, self.by[name.removeprefix("-")], name.startswith("-")

    def order(self, name: str) -> Order:
        """The column that a cursor keeps, and the order, for a name with its sign; made once."""
        if name not in self._orders:
            _, sort, descending = self.chosen(name)
            kept = sort.expression if sort.kept is None else sort.kept
            keys = sort.keys(self.identity)
            order = tuple(key.desc() if descending else key.asc() for key in keys)
            self._orders[name] = kept.label("_sort"), order
        return self._orders[name]

    def page(self, statement: Rows, name: str, *, is_behind: bool) -> Rows:
        """One page of a statement in this order, the first or the one behind a cursor. Of a
        statement that is made once, it is made once: that takes longer than to run it."""
        pages = self._pages.setdefault(statement, {})
        place = name, is_behind
        if place not in pages:
            ordered = _ordered(statement, self, name)
            if is_behind:
                ordered = ordered.where(self._behind(name))
            pages[place] = ordered.limit(PAGE_ROWS)
        return pages[place]

    def _behind(self, name: str) -> ColumnElement[bool]:
        """The condition that a row comes after the one a cursor was made of."""
        _, sort, descending = self.chosen(name)
        keys = sort.keys(self.identity)
        kind = cast(ColumnElement[Any], sort.expression).type
        values = [bindparam("behind", type_=kind), bindparam("behind_id", type_=PgUUID())]
        row, last = tuple_(*keys), tuple_(*values[: len(keys)])
        return row < last if descending else row > last


@dataclass
class Page:
    """One page of rows and what leads to the others."""

    rows: Sequence[Row[*tuple[Any, ...]]]
    envelope: dict[str, Any]
    links: dict[str, dict[str, Any]]

    def reply(self, ctx: Context, serialise: Serialise) -> Reply:
        """The list envelope of the API conventions, with a Link header (RFC 8288)."""
        body = {"items": [serialise(row) for row in self.rows], **self.envelope}
        link = ", ".join(
            f'<{ctx.target}?{_query_string({**ctx.given_query, **change})}>; rel="{rel}"'
            for rel, change in self.links.items()
        )
        return Reply(body, headers={"Link": link} if link else {})


def paginate(ctx: Context, statement: Rows, sorts: Sorts, **values: Any) -> Page:
    """Runs one page of a list: by ``cursor`` (default) or by ``page``. ``values`` are those of the
    places in the statement. One with a place for ``most`` (:data:`MOST`) is told how many rows of
    the order are looked at.

    Query parameters read: ``limit``, ``sort``, ``cursor``, ``page``. 400 when both of the last
    two are given or the cursor is not one of ours for this very query.
    """
    if ctx.query.get("page") is not None:
        if ctx.query.get("cursor") is not None:
            violation = Violation("exclusive", _("excludes page"), parameter="cursor")
            raise RequestInvalid(_("Use either page or cursor."), errors=[violation])
        return _numbered(ctx, statement, sorts, values)
    return _keyset(ctx, statement, sorts, values)


def _ordered(statement: Rows, sorts: Sorts, name: str) -> Rows:
    kept, order = sorts.order(name)
    return statement.add_columns(kept).order_by(*order)


def _keyset(ctx: Context, statement: Rows, sorts: Sorts, values: Mapping[str, Any]) -> Page:
    limit: int = ctx.query["limit"]
    name, sort, _ = sorts.chosen(ctx.query.get("sort"))
    scope = _fingerprint(ctx, name)
    cursor: str | None = ctx.query.get("cursor")
    if cursor is not None:
        value, last = _decode_cursor(ctx, cursor, scope)
        values = {**values, "behind": sort.decode(value), "behind_id": last}
        if sort.behind is not None:
            values |= sort.behind(value, last)
    shown = sorts.page(statement, name, is_behind=cursor is not None)
    rows = ctx.read(shown, **values, page_rows=limit + 1, most=limit + 1).all()
    next_cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        next_cursor = _encode_cursor(ctx, rows[-1], scope)
    links = {"next": {"cursor": next_cursor}} if next_cursor else {}
    return Page(rows, {"next_cursor": next_cursor, "limit": limit}, links)


def _numbered(ctx: Context, statement: Rows, sorts: Sorts, values: Mapping[str, Any]) -> Page:
    limit, page = ctx.query["limit"], ctx.query["page"]
    name, _, _ = sorts.chosen(ctx.query.get("sort"))
    counting = select(func.count()).select_from(statement.subquery())
    total = ctx.read(counting, **values).scalar_one()
    offset = (page - 1) * limit
    rows: Sequence[Row[*tuple[Any, ...]]] = []
    if offset < total:
        ordered = _ordered(statement, sorts, name)
        shown = ordered.limit(limit).offset(offset)
        rows = ctx.read(shown, **values, most=offset + limit).all()
    envelope = {"next_cursor": None, "limit": limit, "page": page, "total": total}
    return Page(rows, envelope, _page_links(page, total, limit))


def _page_links(page: int, total: int, limit: int) -> dict[str, dict[str, Any]]:
    last = min(max(1, -(-total // limit)), MAX_PAGE)
    links = {"first": {"page": 1}}
    if page > 1:
        links["prev"] = {"page": min(page - 1, last)}
    if page < last:
        links["next"] = {"page": page + 1}
    links["last"] = {"page": last}
    return links


def _fingerprint(ctx: Context, sort: str) -> bytes:
    """Binds a cursor to its owner, operation, filters and order: it opens no other list."""
    filters = {k: v for k, v in ctx.given_query.items() if k not in SHOW_ONLY}
    message = [_whose(ctx), ctx.target, sort, filters]
    return hashlib.sha256(orjson.dumps(message, option=orjson.OPT_SORT_KEYS)).digest()


def _whose(ctx: Context) -> UUID:
    """The organisation, or the account for lists of one's own: those need no organisation."""
    return ctx.user_id if ctx.operation.permission == ACCOUNT else ctx.org_id


def _encode_cursor(ctx: Context, row: Row[*tuple[Any, ...]], scope: bytes) -> str:
    payload = orjson.dumps([row._mapping["_sort"], row.id])
    return cursors.sealed(ctx.runtime.keyring, scope, payload)


def _decode_cursor(ctx: Context, cursor: str, scope: bytes) -> tuple[Any, UUID]:
    payload = cursors.opened(ctx.runtime.keyring, scope, cursor)
    if payload is None:
        violation = Violation("cursor", _("is not a cursor of this list"), parameter="cursor")
        raise CursorInvalid(
            _("Use next_cursor of the page before, with the same filters and sort."),
            errors=[violation],
        )
    value, identity = orjson.loads(payload)
    return value, UUID(identity)


def _query_string(parameters: Mapping[str, Any]) -> str:
    flat = {
        name: ",".join(value) if isinstance(value, list) else _text(value)
        for name, value in parameters.items()
    }
    return urlencode(flat, safe=",")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
