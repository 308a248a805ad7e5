"""Many rows in one statement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    JSON,
    Column,
    Dialect,
    Insert,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session

from bugtracker.db import owner_engine
from bugtracker.models import Base

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bulk:
    """Rows for a table. All have the same columns, and ``same`` has those that are alike in all."""

    model: type[Base]
    rows: Sequence[Row]
    same: Row


Statement = tuple[Insert, dict[str, Any]]
"""A statement and its parameters."""


def insert_rows(session: Session, model: type[Base], rows: Sequence[Row]) -> None:
    """Inserts rows that all have the same columns."""
    insert_bulks(session, [Bulk(model, rows, {})])


def insert_bulks(session: Session, bulks: Sequence[Bulk]) -> None:
    """Does what :func:`insertion` describes; nothing without rows."""
    statement = insertion(session, bulks)
    if statement:
        session.execute(*statement)


def insertion(session: Session, bulks: Sequence[Bulk]) -> Statement | None:
    """One statement that inserts rows of several tables; None without rows. It only asks the
    session for its dialect, whatever that is doing. Foreign keys are checked at the end of the
    statement, so rows may refer to each other. Of issues and their comments, name the comments
    first: then the search documents are written once.

    Each table's rows are one parameter, a JSON array. COPY is not an option: PostgreSQL refuses it
    under row-level security. One statement for many rows lets the search triggers, which run once
    per statement, do their work in one go. JSON is written and read in C on both sides; an array
    per column is made value by value in Python.
    """
    filled = [bulk for bulk in bulks if bulk.rows]
    if not filled:
        return None
    dialect = session.get_bind().dialect
    values: dict[str, Any] = {}
    for bulk in filled:
        values |= _values(bulk, dialect)
    return _statement(tuple(map(_shape, filled))), values


class _Shape(NamedTuple):
    """What a statement is made of: a table, the columns of its rows, and those of all rows."""

    model: type[Base]
    fields: tuple[str, ...]
    same: tuple[str, ...]


def _shape(bulk: Bulk) -> _Shape:
    return _Shape(bulk.model, tuple(bulk.rows[0]), tuple(bulk.same))


@lru_cache
def _statement(shapes: tuple[_Shape, ...]) -> Insert:
    first, *others = map(_insert, shapes)
    return first.add_cte(*(other.cte(f"into_{other.table.name}") for other in others))


def _insert(shape: _Shape) -> Insert:
    table = shape.model.metadata.tables[shape.model.__tablename__]
    fields = [column(name, table.c[name].type) for name in shape.fields]
    document = bindparam(f"{table.name}_rows", type_=Text)
    source = func.json_to_recordset(cast(document, JSON)).table_valued(*fields)
    fresh = source.render_derived(name=f"fresh_{table.name}", with_types=True)
    same = [bindparam(f"{table.name}_{name}", type_=table.c[name].type) for name in shape.same]
    names = [*shape.fields, *shape.same]
    # What is not named takes the database's default, where the table has one.
    source_rows = select(fresh).add_columns(*same)
    return insert(table).from_select(names, source_rows, include_defaults=False)


def _values(bulk: Bulk, dialect: Dialect) -> dict[str, Any]:
    table = bulk.model.metadata.tables[bulk.model.__tablename__]
    columns = [table.c[name] for name in bulk.rows[0]]
    same = {f"{table.name}_{name}": value for name, value in bulk.same.items()}
    return {f"{table.name}_rows": _as_json(columns, bulk.rows, dialect), **same}


def _as_json(columns: Sequence[Column[Any]], rows: Sequence[Row], dialect: Dialect) -> str:
    """The rows as PostgreSQL reads them, values converted as the columns' types say."""
    converted = list(rows)
    for name, convert in _conversions(columns, dialect):
        converted = [{**row, name: convert(row[name])} for row in converted]
    return orjson.dumps(converted, default=_bytes).decode()


def _conversions(
    columns: Sequence[Column[Any]], dialect: Dialect
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    for found in columns:
        convert = None if isinstance(found.type, JSON) else found.type.bind_processor(dialect)
        if convert:
            yield found.name, convert


def _bytes(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"cannot be stored: {type(value).__name__}")
    return f"\\x{value.hex()}"


def refresh_statistics(owner_url: str) -> None:
    """Tells the planner about rows that came in bulk, as the owner: the API's role may not.

    Autovacuum would get there in a minute or two; until then lists and searches may be slow.
    """
    engine = owner_engine(owner_url)
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(text(f'ANALYZE "{table.name}"'))
    engine.dispose()
