"""The driver's connection and cursor, without what nobody needs."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

import psycopg
from psycopg.pq import TransactionStatus


class Connection(psycopg.Connection[Any]):
    """psycopg forgets all prepared statements with a transaction that is undone: a precaution
    against tables made in it. Nothing here makes any, and reads end like this: nothing would stay
    prepared. What has failed is forgotten all the same: it may be a plan that is kept although a
    column has got another type."""

    def rollback(self) -> None:
        """Undoes what was not committed. OperationalError where the connection is not fit for
        others then."""
        if self.pgconn.transaction_status != TransactionStatus.INTRANS:
            super().rollback()
            return
        result = self.pgconn.exec_(b"ROLLBACK")
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            raise psycopg.errors.error_from_result(result)


class _Columns(Sequence[psycopg.Column]):
    """What a result's columns are called, put together when it is read."""

    def __init__(self, cursor: "Cursor", count: int) -> None:
        self._cursor = cursor
        self._count = count

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _columns(self) -> list[psycopg.Column]:
        return super(Cursor, self._cursor).description or []

    @overload
    def __getitem__(self, index: int) -> psycopg.Column: ...
    @overload
    def __getitem__(self, index: slice) -> list[psycopg.Column]: ...
    def __getitem__(self, index: int | slice) -> psycopg.Column | list[psycopg.Column]:
        return self._columns[index]


class Cursor(psycopg.Cursor[Any]):
    """SQLAlchemy reads the description of a statement's result once, and afterwards asks of each
    result only whether it has one. Making it takes a third of the driver's part of a read."""

    @property
    def description(self) -> Sequence[psycopg.Column] | None:  # type: ignore[override]
        """As psycopg's: names and types of the columns; None for what returns no rows."""
        result = self.pgresult
        if result is None or not result.nfields:
            return super().description
        return _Columns(self, result.nfields)
