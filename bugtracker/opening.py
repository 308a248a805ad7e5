"""A request's transaction, begun together with its first statement: who is asking.

Session, membership and role are one statement, and that statement also sets the tenant. It travels
with BEGIN in one message, so that nothing waits for either. Only identifiers are ever written into
its text: ids and hashes, of types that cannot hold anything else.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import OperationalError

from bugtracker.db import Database
from bugtracker.tracing import statement_span

UNDECIDED = (TransactionStatus.INTRANS, TransactionStatus.INERROR)

Literal = UUID | bytes | None
Fields = tuple[str | None, ...]


@dataclass(frozen=True)
class Opening:
    """A statement that returns at most one row, with a place ``{name}`` for each value."""

    sql: str

    def text(self, values: dict[str, Literal]) -> bytes:
        """BEGIN and the statement with these values."""
        written = {name: _written(value) for name, value in values.items()}
        return f"BEGIN; {self.sql.format(**written)}".encode()


def _written(value: Literal) -> str:
    """TypeError for anything but what cannot end a literal."""
    if value is None:
        return "NULL"
    if isinstance(value, UUID):
        return f"'{value}'::uuid"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    raise TypeError(f"no identifier: {type(value).__name__}")


class Opened:
    """A connection of the pool, and on it a transaction in which one statement has run.

    Whoever makes it closes it; what was not committed by then is undone.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The connection, once it was begun."""
        if self._connection is None:
            raise RuntimeError("nothing was begun")
        return self._connection

    def begin(self, opening: Opening, **values: Literal) -> Fields | None:
        """The row of the statement, as text; None where there is none. SQLAlchemy's errors."""
        self._connection = self._db.engine.connect()
        raw: Any = self._connection.connection.driver_connection
        with statement_span(opening.sql):
            result = raw.pgconn.exec_(opening.text(values))
            if result.status != ExecStatus.TUPLES_OK:
                self._fail(raw, psycopg.errors.error_from_result(result))
        if result.ntuples == 0:
            return None
        return tuple(_decoded(result.get_value(0, n)) for n in range(result.nfields))

    def _fail(self, raw: Any, error: psycopg.Error) -> None:
        if raw.pgconn.status == ConnStatus.BAD:
            # SQLAlchemy finds out by itself, and so throws away all connections of that server.
            self.connection.exec_driver_sql("SELECT 1")
        raise OperationalError(None, None, error, hide_parameters=True)

    def close(self) -> None:
        """Undoes what was not committed, and gives the connection back, if there is one."""
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        try:
            if not connection.invalidated and not _roll_back(connection.connection):
                # Nothing is lost, and the request is decided: it shall not fail at its end.
                connection.invalidate()
        finally:
            connection.close()


def _roll_back(connection: PoolProxiedConnection) -> bool:
    """Whether the connection is fit for others: no transaction is left on it.

    As psycopg does, which then also forgets all prepared statements: a precaution against
    tables made in the transaction. Reads end like this, so that nothing would ever be prepared."""
    raw: Any = connection.driver_connection
    if raw.pgconn.transaction_status in UNDECIDED:
        raw.pgconn.exec_(b"ROLLBACK")
    return bool(raw.pgconn.transaction_status == TransactionStatus.IDLE)


def _decoded(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
