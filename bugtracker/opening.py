"""A request's transaction, begun together with its first statement: who is asking.

Session, membership and role are one statement, and that statement also sets the tenant. It travels
with BEGIN in one message, so that nothing waits for either; or with the one read that the request
is about, where that is foreseen. Only identifiers are ever written into its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

import psycopg
from psycopg import generators
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, Result
from sqlalchemy.exc import OperationalError

from bugtracker.db import Database
from bugtracker.foresight import Foreseen, Prepared, prepared
from bugtracker.literals import Literal, written
from bugtracker.tracing import statement_span

Fields = tuple[str | None, ...]

DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
CHANGED = psycopg.errors.FeatureNotSupported
"""A column has got another type since the statement was prepared."""
MISTAKEN = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    CHANGED,
)
PREPARED = "prepared"
"""Where a connection's info has what it was told to prepare."""


@dataclass(frozen=True)
class Opening:
    """A statement that returns at most one row, with a place ``{name}`` for each value."""

    sql: str

    def text(self, values: dict[str, Literal]) -> str:
        """The statement with these values."""
        return self.sql.format(**{name: written(value) for name, value in values.items()})


class Opened:
    """A connection of the pool, and on it a transaction in which one statement has run.

    With a foreseen read the transaction is over when it has begun, and the connection is the
    pool's again. Whoever makes it closes it; what was not committed by then is undone.
    """

    def __init__(self, db: Database, foreseen: Foreseen | None = None) -> None:
        self._db = db
        self._foreseen = foreseen
        self._read: Result[Any] | None = None
        self.org_id: UUID | None = None
        """The tenant that the transaction is in, as whoever began it has learnt: the foreseen read
        is of no use for any other."""
        self._connection: Connection | None = None
        self.is_over = False
        """Whether the transaction ended with the foreseen read. Who wants more begins another."""

    @property
    def connection(self) -> Connection:
        """The connection, while the transaction lasts."""
        if self._connection is None:
            raise RuntimeError("nothing was begun, or it has ended")
        return self._connection

    def begin(self, opening: Opening, **values: Literal) -> Fields | None:
        """The row of the statement, as text; None where there is none. SQLAlchemy's errors."""
        self._connection = self._db.engine.connect()
        text = opening.text(values)
        if self._foreseen is not None:
            return _row(self._begin_with(self._foreseen, opening, text))
        with statement_span(opening.sql):
            result = self._raw.pgconn.exec_(f"BEGIN; {text}".encode())
            if result.status != ExecStatus.TUPLES_OK:
                self._fail(psycopg.errors.error_from_result(result))
        return _row(result)

    def take(self, statement: object, values: Mapping[str, Any]) -> Result[Any] | None:
        """The rows of the foreseen read, once, if this is it."""
        if self._foreseen is None or self.org_id is None:
            return None
        if not self._foreseen.is_asked(statement, values, self.org_id):
            return None
        read, self._read = self._read, None
        return read

    @property
    def _raw(self) -> Any:
        return self.connection.connection.driver_connection

    def _begin_with(self, foreseen: Foreseen, opening: Opening, text: str) -> PGresult:
        """The opening's result. Both statements are one transaction, as all of one message are."""
        read = prepared(foreseen.statement)
        with statement_span(f"{opening.sql}; {read.sql}"):
            try:
                opened, rows = self._sent(text, read, foreseen.values)
            except psycopg.Error as error:
                self._fail(error)
        self._read = read.rows(self._raw, rows)
        self._give_back()
        self.is_over = True
        return opened

    def _sent(self, text: str, read: Prepared, values: Mapping[str, Any]) -> list[PGresult]:
        """What both have returned. A connection may have forgotten what it was told (psycopg has
        it forget all when a savepoint is undone), or know what only others told it (behind a
        pooler), or an old plan: then it is all asked once more, as nothing came of it."""
        told = self.connection.info.setdefault(PREPARED, set())
        preparation = "" if read.name in told else f"{read.preparation}; "
        try:
            message = f"{preparation}{text}; {read.execution(values)}"
            results = _results(self._raw, message)[-2:]
            told.add(read.name)
        except MISTAKEN as error:
            told.symmetric_difference_update({read.name})
            forget = f"DEALLOCATE {read.name}; " if isinstance(error, CHANGED) else ""
            results = _results(self._raw, f"{forget}{text}; {read.unprepared(values)}")[-2:]
        return results

    def _fail(self, error: psycopg.Error) -> NoReturn:
        if self._raw.pgconn.status == ConnStatus.BAD:
            # SQLAlchemy finds out by itself, and so throws away all connections of that server.
            self.connection.exec_driver_sql("SELECT 1")
        raise OperationalError(None, None, error, hide_parameters=True)

    def close(self) -> None:
        """Undoes what was not committed, and gives the connection back, if there is one."""
        self.is_over = False
        self._give_back()

    def _give_back(self) -> None:
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        try:
            if not connection.invalidated:
                _roll_back(connection)
        finally:
            connection.close()


def _results(raw: Any, text: str) -> list[PGresult]:
    """What each statement of a message has returned. psycopg's errors."""
    raw.pgconn.send_query(text.encode())
    results: list[PGresult] = raw.wait(generators.execute(raw.pgconn))
    if results[-1].status not in DONE:
        raise psycopg.errors.error_from_result(results[-1])
    return results


def _roll_back(connection: Connection) -> None:
    """Nothing is lost, and the request is decided: it shall not fail at its end."""
    raw: Any = connection.connection.driver_connection
    try:
        raw.rollback()
    except psycopg.Error:
        connection.invalidate()


def _row(result: PGresult) -> Fields | None:
    if result.ntuples == 0:
        return None
    values = (result.get_value(0, n) for n in range(result.nfields))
    return tuple(None if value is None else value.decode() for value in values)
