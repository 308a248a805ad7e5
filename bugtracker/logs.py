"""Logs: one structured line per event on standard error, for our code and for libraries alike.

Request id and whatever else is bound with `structlog.contextvars` are on every line. Neither
headers, bodies nor query strings are ever logged, and tracebacks come without local variables:
all of these hold secrets.
"""

import json
import logging
import sys
from functools import lru_cache
from typing import TextIO

import orjson
import structlog
from starlette.types import Scope
from structlog.typing import EventDict, Processor, WrappedLogger

from bugtracker.settings import Settings

MASK = "***"
_SECRET_WORDS = ("password", "token", "secret", "authorization", "cookie", "api_key")
_MAX_PATH = 512
# At INFO these print whole addresses with their query strings, or every step they take.
_TALKATIVE = ("httpx", "httpcore", "asyncio", "urllib3", "alembic", "procrastinate")

_requests = structlog.get_logger("bugtracker.request")


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


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """The one line of a request. 499 stands for a client that left before the answer."""
    state = scope["state"]
    fields = {
        "method": scope["method"],
        "path": _shown_path(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
        "request_id": state["request_id"],
        "client_ip": state["client_ip"],
    }
    for name in ("operation_id", "account_id", "org_id", "via_key"):
        if state.get(name) is not None:
            fields[name] = str(state[name])
    _requests.info("request", **fields)


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values whose name says that they are secret."""
    for name in event:
        if _is_secret(name):
            event[name] = MASK
    return event


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
    ]


def _renderers(log_format: str, stream: TextIO) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and stream.isatty()):
        plain = structlog.dev.plain_traceback
        colours = stream.isatty()
        return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, _as_json]


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # lone surrogates and huge integers, which a log must survive
        return json.dumps(event, default=repr)


def _configure_standard_library(level: int, render: list[Processor], stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
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
