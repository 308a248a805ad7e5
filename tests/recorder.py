"""Counts and keeps the statements that handlers send."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

Statement = tuple[str, dict[str, Any]]


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Statement]]:
    """The statements (SQL, parameters) of handlers from here on, authentication's not among them.

    A savepoint is none; setting the tenant is one.
    """
    statements: list[Statement] = []

    def record(_: Any, __: Any, sql: str, parameters: Any, *rest: Any) -> None:
        if threading.current_thread().name.startswith("handler"):
            statements.append((sql, parameters))

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", record)
