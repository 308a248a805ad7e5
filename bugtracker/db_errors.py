"""What a database failure means to a client."""

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bugtracker.errors import AppError, InternalError, ServiceUnavailable

log = structlog.get_logger()

# SQLSTATEs that pass by themselves: lock or statement timeout, deadlock, serialization failure,
# too many connections; classes 08 (connection) and 57 (operator intervention) as a whole.
TRANSIENT = {"55P03", "57014", "40P01", "40001", "53300"}
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
    log.error("database_error", sqlstate=state, transient=transient, exc_info=error)
    if not transient:
        return InternalError()
    return ServiceUnavailable(
        "The database did not answer in time; nothing was changed. Try again.",
        headers={"Retry-After": "1"},
    )


def _is_operational(error: Exception) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError")
