"""Cursors of the feed: a number in an organisation's record, and when it was handed out."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from bugtracker.context import Context
from bugtracker.cursors import opened, sealed
from bugtracker.errors import CursorExpired, CursorInvalid, Violation
from bugtracker.messages import _, ngettext
from bugtracker.queries import feed as queries
from bugtracker.security.secrets import Keyring

BEGINNING = "beginning"


def cursor_at(keyring: Keyring, org_id: UUID, number: int, now: datetime) -> str:
    """A cursor behind the event of this number. It holds for the organisation, whoever asks, and
    for all types: what somebody follows may change."""
    return sealed(keyring, _scope(org_id), orjson.dumps([number, int(now.timestamp())]))


def position(ctx: Context, end: int) -> int:
    """The number behind which a request reads on, where ``end`` is the last one there is.

    400 for a cursor that is not of this organisation's, or ahead of it (a database that was set
    back must not look like a quiet one); 410 for one that is older than the feed goes back.
    """
    after: str | None = ctx.query["after"]
    if after is None:
        return end
    if after == BEGINNING:
        first = ctx.session.scalar(queries.first_since(ctx, ctx.now - _kept(ctx)))
        return end if first is None else first - 1
    payload = opened(ctx.runtime.keyring, _scope(ctx.org_id), after)
    number, seconds = (end + 1, 0) if payload is None else orjson.loads(payload)
    if number > end:
        raise _invalid()
    if seconds < (ctx.now - _kept(ctx)).timestamp():
        raise _expired(ctx.runtime.settings.feed_days)
    return int(number)


def _kept(ctx: Context) -> timedelta:
    return timedelta(days=ctx.runtime.settings.feed_days)


def _scope(org_id: UUID) -> bytes:
    return hashlib.sha256(b"event feed" + org_id.bytes).digest()


def _invalid() -> CursorInvalid:
    violation = Violation("cursor", _("is not a cursor of this feed"), parameter="after")
    return CursorInvalid(
        _("Use next_cursor of an earlier answer in this organisation."), errors=[violation]
    )


def _expired(days: int) -> CursorExpired:
    return CursorExpired(
        ngettext(
            "Cursors of the feed hold for {n} day. Begin again with after=beginning.",
            "Cursors of the feed hold for {n} days. Begin again with after=beginning.",
            days,
        )
    )
