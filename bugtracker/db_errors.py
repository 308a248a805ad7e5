"""What a database failure means to a client, and what the log may hold of it."""

import traceback
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bugtracker.errors import AppError, InternalError, ServiceUnavailable
from bugtracker.messages import _
from bugtracker.metrics import database_errors
from bugtracker.tracebacks import QUOTING_CLASS

log = structlog.get_logger()

# SQLSTATEs that pass by themselves: lock or statement timeout, deadlock, serialization failure,
# too many connections, a kept plan of a table that has changed; classes 08 (connection) and 57
# (operator intervention) as a whole.
TRANSIENT = {"55P03", "57014", "40P01", "40001", "53300", "0A000"}
TRANSIENT_CLASSES = ("08", "57")


def as_app_error(error: DBAPIError | PoolTimeout) -> AppError:
    """503 with Retry-After for what passes by itself, 500 for the rest. Logs both."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    lost = isinstance(error, PoolTimeout) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    if lost or (not state and _is_operational(error)):
        transient = True
    else:
        transient = state in TRANSIENT or state.startswith(TRANSIENT_CLASSES)
    database_errors.labels(_kind(error, transient=transient)).inc()
    log.error("database_error", sqlstate=state, transient=transient, **_particulars(error, state))
    if not transient:
        return InternalError()
    # A connection lost during COMMIT leaves open whether anything was changed.
    return ServiceUnavailable(
        _("The database did not answer in time. Try again."), headers={"Retry-After": "1"}
    )


def _kind(error: DBAPIError | PoolTimeout, *, transient: bool) -> str:
    if isinstance(error, PoolTimeout):
        return "pool"
    return "transient" if transient else "lasting"


def _is_operational(error: Exception) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")


def _particulars(error: DBAPIError | PoolTimeout, state: str) -> dict[str, Any]:
    """What helps to find the cause and holds no value of a statement.

    Not the exception's own text: PostgreSQL adds whole rows to it ("Failing row contains …").
    """
    found: dict[str, Any] = {
        "error": type(error).__name__,
        "statement": getattr(error, "statement", None),
        "stack": "".join(traceback.format_tb(error.__traceback__)),
    }
    cause = getattr(error, "orig", None)
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is not None:
        found["constraint"] = diagnosis.constraint_name
        found["table"] = diagnosis.table_name
        if not state.startswith(QUOTING_CLASS):
            # Without a server's report it is about the connection: nothing of a statement.
            found["message"] = diagnosis.message_primary or str(cause)
    return {name: value for name, value in found.items() if value is not None}
