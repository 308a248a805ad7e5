"""Exceptions as text that may be logged or printed.

PostgreSQL adds whole rows to its errors ("Failing row contains …"), some messages quote a value,
and SQLAlchemy copies both into its own. So the text of a database error never comes from the
exception itself, wherever in a chain of causes it is.
"""

import traceback
from collections.abc import Callable, Iterator
from types import TracebackType

import psycopg
from sqlalchemy.exc import PendingRollbackError, StatementError

QUOTING_CLASS = "22"
"""SQLSTATEs whose messages quote the value that was wrong."""

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

_JOINTS = (
    "\nThe above exception was the direct cause of the following exception:\n\n",
    "\nDuring handling of the above exception, another exception occurred:\n\n",
)


def one_line(error: BaseException) -> str:
    """Type and message, without any value of a statement."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    message = message_of(error)
    return f"{name}: {message}" if message else name


def message_of(error: BaseException) -> str:
    """The message, without any value of a statement."""
    if isinstance(error, psycopg.Error):
        return _of_driver(error)
    if isinstance(error, StatementError):
        cause = f"({one_line(error.orig)}) " if isinstance(error.orig, psycopg.Error) else ""
        return f"{cause}[SQL: {error.statement}]"
    if isinstance(error, PendingRollbackError):
        return "the transaction was rolled back because of an earlier error"
    return _told(str, error)


def full_text(error: BaseException) -> str:
    """What Python prints of an exception and its causes, without any value of a statement."""
    return "".join(_parts(error, set()))


def without_values(text: str, error: BaseException | None) -> str:
    """A text that somebody may have made of an exception or its causes."""
    for each in _chain(error, set()):
        if isinstance(each, psycopg.Error | StatementError | PendingRollbackError):
            for unsafe in (_told(repr, each), _told(str, each)):
                text = text.replace(unsafe, one_line(each)) if unsafe else text
    return text


def _told(tell: Callable[[BaseException], str], error: BaseException) -> str:
    """What an exception tells of itself; one that cannot must not cost the line it is logged in."""
    try:
        return tell(error)
    except Exception:
        return "(its own text failed)"


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _of_driver(error: psycopg.Error) -> str:
    state, diagnosis = error.sqlstate, error.diag
    if state is None:
        # Without a server's report it is about the connection, or about a value we gave.
        about_connection = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return str(error) if about_connection else ""
    words = [f"SQLSTATE {state}"]
    if not state.startswith(QUOTING_CLASS):
        words += [diagnosis.message_primary or ""]
    return ", ".join(word for word in words if word)


def _earlier(error: BaseException) -> tuple[BaseException | None, str]:
    if error.__cause__ is not None:
        return error.__cause__, _JOINTS[0]
    return (None if error.__suppress_context__ else error.__context__), _JOINTS[1]


def _inside(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for each in (error.__cause__, error.__context__, *_inside(error)):
        yield from _chain(each, seen)


def _parts(error: BaseException, seen: set[int], *, is_value: bool = False) -> Iterator[str]:
    """``is_value``: a bad value raised it, on its way into a statement; the message may be it."""
    seen.add(id(error))
    earlier, joint = _earlier(error)
    if earlier is not None and id(earlier) not in seen:
        raised_by_value = isinstance(error, StatementError) and earlier is error.orig
        is_plain = not isinstance(earlier, psycopg.Error)
        yield from _parts(earlier, seen, is_value=raised_by_value and is_plain)
        yield joint
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    yield (_full_name(type(error)) if is_value else one_line(error)) + "\n"
    for each in _inside(error):
        yield "---- one of them:\n"
        yield from _parts(each, seen)
