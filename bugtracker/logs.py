"""Logs: one structured line per event on standard error, for our code and for libraries alike.

Request id and whatever else is bound with `structlog.contextvars` are on every line. Neither
headers, bodies nor query strings are ever logged, and tracebacks come without local variables and
without what PostgreSQL says of rows: all of these hold secrets.
"""

import json
import logging
import sys
import threading
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog
from starlette.types import Scope
from structlog.typing import EventDict, Processor, WrappedLogger

from bugtracker.settings import Settings
from bugtracker.tracebacks import ExcInfo, full_text, one_line, without_values

MASK = "***"
_SECRET_WORDS = ("password", "token", "secret", "authorization", "cookie", "api_key")
_MAX_PATH = 512
# At INFO these print whole addresses with their query strings, or every step they take.
_TALKATIVE = ("httpx", "httpcore", "asyncio", "urllib3", "alembic", "procrastinate")

_requests = structlog.get_logger("bugtracker.request")
_uncaught = structlog.get_logger("bugtracker.uncaught")


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (default standard error) in the form the settings ask for.

    uvicorn must be started with `log_config=None` so that it leaves its loggers to us.
    """
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.log_level]
    render = _renderers(settings.log_format, stream)
    structlog.configure(
        processors=[*_common(), *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _configure_standard_library(level, render, stream)


def log_uncaught() -> None:
    """Log what nobody catches, in any thread; Python would print it whole, past all of this."""

    def in_main_thread(
        kind: type[BaseException], error: BaseException, place: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, place)
        else:
            _uncaught.critical("uncaught_exception", exc_info=error)

    def in_thread(what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread else None
        _uncaught.critical("uncaught_exception", thread=name, exc_info=what.exc_value)

    sys.excepthook = in_main_thread
    threading.excepthook = in_thread


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """The one line of a request: who it was, where that is known, and for a refusal its ``code``.
    499 stands for a client that left before the answer."""
    logger = _requests.bind()
    if not logger.is_enabled_for(logging.INFO):
        return
    state = scope["state"]
    fields = {
        "method": scope["method"],
        "path": _shown_path(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
        "request_id": state["request_id"],
        "client_ip": state["client_ip"],
    }
    for name in ("operation_id", "account_id", "org_id", "via_key", "partner_id", "code"):
        if state.get(name) is not None:
            fields[name] = str(state[name])
    logger.info("request", **fields)


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values whose name says that they are secret."""
    for name in event:
        if _is_secret(name):
            event[name] = MASK
    return event


def describe_exceptions(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace exceptions given as values: their own text may hold rows and values."""
    for name, value in event.items():
        if name != "exc_info":
            event[name] = _described(value)
    return event


def _described(value: Any) -> Any:
    if isinstance(value, BaseException):
        return one_line(value)
    if isinstance(value, list | tuple):
        return [_described(each) for each in value]
    if isinstance(value, dict):
        return {name: _described(each) for name, each in value.items()}
    return value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in _SECRET_WORDS)


def _shown_path(scope: Scope) -> str:
    """The path as sent, still percent-encoded, so that it cannot forge a line of its own."""
    raw: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    return raw[:_MAX_PATH].decode("ascii", "backslashreplace")


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
        describe_exceptions,
    ]


def _renderers(log_format: str, stream: TextIO) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and stream.isatty()):
        colours = stream.isatty()
        return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_write)]
    return [structlog.processors.ExceptionRenderer(_traceback), _as_json]


def _traceback(exc_info: ExcInfo) -> str:
    return full_text(exc_info[1]).rstrip("\n") if exc_info[1] is not None else ""


def _write(stream: TextIO, exc_info: ExcInfo) -> None:
    stream.write("\n" + _traceback(exc_info))


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=_shown, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # lone surrogates and huge integers, which a log must survive
        return json.dumps(event, default=_shown)


def _shown(value: object) -> str:
    return one_line(value) if isinstance(value, BaseException) else repr(value)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Also of libraries, whose messages are made of exceptions now and then."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; what other handlers see of it stays as it is."""
        copy = logging.makeLogRecord(record.__dict__)
        copy.msg, args = _described(copy.msg), _described(copy.args)
        copy.args = tuple(args) if isinstance(args, list) else args
        if copy.exc_info:
            copy.msg, copy.args = without_values(copy.getMessage(), copy.exc_info[1]), ()
        return super().format(copy)


def _configure_standard_library(level: int, render: list[Processor], stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_common()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
