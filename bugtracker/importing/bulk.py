"""Many rows in one statement."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, bindparam, func, insert, select, text
from sqlalchemy.orm import Session

from bugtracker.db import owner_engine
from bugtracker.models import Base

Row = Mapping[str, Any]


def insert_rows(session: Session, model: type[Base], rows: Sequence[Row]) -> None:
    """Inserts rows that all have the same columns, as one array parameter per column.

    COPY is not an option: PostgreSQL refuses it under row-level security. One statement for many
    rows lets the search triggers, which run once per statement, do their work in one go.
    """
    if not rows:
        return
    table = model.metadata.tables[model.__tablename__]
    columns = [table.c[name] for name in rows[0]]
    arrays = [
        bindparam(column.name, [row[column.name] for row in rows], ARRAY(column.type))
        for column in columns
    ]
    names = (column.name for column in columns)
    source = func.unnest(*arrays).table_valued(*names).render_derived()
    session.execute(insert(table).from_select(columns, select(source)))


def lift_timeouts(session: Session) -> None:
    """Lets this transaction take its time; the limits of the API are meant for requests."""
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        session.execute(text(f"SET LOCAL {limit} = 0"))


def refresh_statistics(owner_url: str) -> None:
    """Tells the planner about rows that came in bulk, as the owner: the API's role may not.

    Autovacuum would get there in a minute or two; until then lists and searches may be slow.
    """
    engine = owner_engine(owner_url)
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(text(f'ANALYZE "{table.name}"'))
    engine.dispose()
