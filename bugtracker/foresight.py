"""Reads that an operation begins with for certain: they travel with the question who is asking.

One message instead of three: session, read and the end of the transaction. The read finds nothing
unless the session lives and the caller belongs to the organisation, for until then the
transaction is in none. What it found is only looked at once the caller may.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from uuid import UUID

from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult
from sqlalchemy import Dialect, Result, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

from bugtracker.literals import Literal, written

Statement = Select[*tuple[Any, ...]]
Named = Callable[[UUID, str], tuple[Statement, dict[str, Any]]]
"""The statement about what a path names so, and its values, in an organisation."""

IN_TENANT = "nullif(current_setting('app.org_id', true), '')::uuid"
NO_ORGANISATION = UUID(int=0)
_PLACE = re.compile(r"\$(\d+)")
_DIALECT: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Prepared:
    """A statement that PostgreSQL keeps prepared, by a name that no other statement has: behind a
    pooler, connections of the database are shared with other processes, older ones too."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement

    @cached_property
    def name(self) -> str:
        """As SQL knows it."""
        return f"foreseen_{hashlib.sha256(self.sql.encode()).hexdigest()[:16]}"

    @cached_property
    def _compiled(self) -> Any:
        return self._statement.compile(dialect=_DIALECT)

    @cached_property
    def sql(self) -> str:
        """Its text, with places $1, $2, …"""
        return str(self._compiled)

    @cached_property
    def preparation(self) -> str:
        """What a connection must be told once."""
        return f"PREPARE {self.name} AS {self.sql}"

    def execution(self, values: Mapping[str, Literal]) -> str:
        """The prepared statement with these values; ``org_id`` is that of the transaction."""
        return f"EXECUTE {self.name}({', '.join(self._written(values))})"

    def unprepared(self, values: Mapping[str, Literal]) -> str:
        """The same, for a connection on which nothing is prepared."""
        places = self._written(values)
        return _PLACE.sub(lambda place: places[int(place[1]) - 1], self.sql)

    def _written(self, values: Mapping[str, Literal]) -> list[str]:
        places = {name: written(value) for name, value in values.items()}
        places["org_id"] = IN_TENANT
        return [places[name] for name in self._compiled.positiontup]

    @cached_property
    def _columns(self) -> SimpleResultMetaData:
        return SimpleResultMetaData(self._statement.selected_columns.keys())

    def rows(self, connection: Any, result: PGresult) -> Result[Any]:
        """The rows of what came back on a connection of the driver."""
        reading = Transformer(connection)
        reading.set_pgresult(result)
        rows = map(self._converted, reading.load_rows(0, result.ntuples, list))
        return IteratorResult(self._columns, rows)

    @cached_property
    def _conversions(self) -> Sequence[tuple[int, Callable[[Any], Any]]]:
        types = (column.type for column in self._statement.selected_columns)
        processors = (
            each.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for each in types
        )
        return [(place, convert) for place, convert in enumerate(processors) if convert]

    def _converted(self, row: list[Any]) -> tuple[Any, ...]:
        """As the columns' types read what the driver has read."""
        for place, convert in self._conversions:
            row[place] = convert(row[place])
        return tuple(row)


prepared = cache(Prepared)
"""One of each statement, for ever: the statements are made once, too."""


@dataclass(frozen=True)
class Foreseen:
    """A statement that will be asked for with these values."""

    statement: Statement
    values: Mapping[str, Any]

    def is_asked(self, statement: object, values: Mapping[str, Any], org_id: UUID) -> bool:
        """Whether it is this one that is asked for, in the organisation it was read in."""
        return statement is self.statement and values == {**self.values, "org_id": org_id}


Foresight = Callable[[str], Foreseen | None]
"""What an operation will read, by the name in its path; None of what is no name."""


def foresight(named: Named) -> Foresight:
    """That an operation reads this first, and nothing after it."""

    def foresee(ref: str) -> Foreseen | None:
        try:
            statement, values = named(NO_ORGANISATION, ref)
        except ValueError:
            return None
        return Foreseen(statement, values)

    return foresee
