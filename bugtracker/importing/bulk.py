"""Many rows in one statement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Column,
    Dialect,
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


def insert_rows(session: Session, model: type[Base], rows: Sequence[Row]) -> None:
    """Inserts rows that all have the same columns, as one parameter: a JSON array.

    COPY is not an option: PostgreSQL refuses it under row-level security. One statement for many
    rows lets the search triggers, which run once per statement, do their work in one go. JSON is
    written and read in C on both sides; an array per column is made value by value in Python.
    """
    if not rows:
        return
    table = model.metadata.tables[model.__tablename__]
    columns = [table.c[name] for name in rows[0]]
    dialect = session.get_bind().dialect
    document = bindparam("rows", _as_json(columns, rows, dialect), Text)
    fields = [column(found.name, found.type) for found in columns]
    source = func.json_to_recordset(cast(document, JSON)).table_valued(*fields)
    named = source.render_derived(name="fresh", with_types=True)
    session.execute(insert(table).from_select(columns, select(named)))


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
