"""The audit log as a file, made while it is sent."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson

from bugtracker.context import Context, Reply
from bugtracker.models import Event
from bugtracker.queries import audit as queries
from bugtracker.serializers import audit as serializers

BATCH = 500
"""Events that are read and written at a time, each batch in a transaction of its own."""

HEADER = (
    "number",
    "id",
    "created_at",
    "action",
    "actor_id",
    "actor_username",
    "actor_name",
    "resource_type",
    "resource_id",
    "resource_version",
    "project_id",
    "issue_id",
    "request_id",
    "api_key_id",
    "changes",
)

# What spreadsheets take for a formula: at the beginning of a cell, and behind whatever another
# country's spreadsheet takes for the end of one.
FORMULA = re.compile(r"(^|[;\t\r\n])(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")

Rows = Sequence[Any]


def reply(ctx: Context) -> Reply:
    """All events that the filters ask for, the oldest first, in the format asked for."""
    name = ctx.query["format"]
    media_type, write = FORMATS[name]
    headers = {
        "Content-Type": media_type,
        "Content-Disposition": f'attachment; filename="audit-{ctx.now:%Y%m%dT%H%M%SZ}.{name}"',
    }
    return Reply(headers=headers, stream=write(_batches(ctx)))


def _batches(ctx: Context) -> Iterator[Rows]:
    """Batches of rows up to the moment of the request.

    Between two of them no connection is held: a slow client would keep others waiting for one.
    What is exported never changes, so many transactions see what one would have seen.
    """
    statement = queries.listed(ctx).where(Event.created_at <= ctx.now)
    last: tuple[datetime, UUID] | None = None
    while True:
        with ctx.db.transaction(org_id=ctx.org_id, account_id=ctx.user_id) as session:
            rows = session.execute(queries.behind(statement, last, BATCH)).all()
        yield rows
        if len(rows) < BATCH:
            return
        last = rows[-1].created_at, rows[-1].id


def _ndjson(batches: Iterator[Rows]) -> Iterator[bytes]:
    options = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    for rows in batches:
        yield b"".join(orjson.dumps(serializers.event(row), option=options) for row in rows)


def _csv(batches: Iterator[Rows]) -> Iterator[bytes]:
    # With the first rows, so that what fails at once is still answered as an error.
    head: list[Sequence[str]] = [HEADER]
    for rows in batches:
        yield _lines([*head, *map(_cells, rows)])
        head.clear()


def _lines(records: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue().encode()


def _cells(row: Any) -> list[str]:
    event = serializers.event(row)
    actor, resource = event["actor"] or {}, event["resource"]
    values = (
        event["number"],
        event["id"],
        orjson.dumps(event["created_at"], option=orjson.OPT_UTC_Z).decode().strip('"'),
        event["action"],
        actor.get("id"),
        actor.get("username"),
        actor.get("name"),
        resource["type"],
        resource["id"],
        resource["version"],
        event["project_id"],
        event["issue_id"],
        event["request_id"],
        event["api_key_id"],
    )
    return [*map(_cell, values), _json_cell(row.changes)]


def _cell(value: Any) -> str:
    """The value as text that no spreadsheet computes: an apostrophe disarms it."""
    return "" if value is None else FORMULA.sub(r"\1'", str(value))


def _json_cell(value: Any) -> str:
    """JSON begins with a brace; a semicolon in it, always within a string, is escaped."""
    return orjson.dumps(value).decode().replace(";", "\\u003b")


Write = Callable[[Iterator[Rows]], Iterator[bytes]]

FORMATS: Mapping[str, tuple[str, Write]] = MappingProxyType(
    {"csv": ("text/csv; charset=utf-8", _csv), "ndjson": ("application/x-ndjson", _ndjson)}
)
"""Format → media type, and how batches of rows are written in it."""
