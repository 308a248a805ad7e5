"""One page of the feed: the same ids and bodies that webhooks send, in the sequencer's order."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Row

from bugtracker.context import Context, Reply
from bugtracker.feed.positions import cursor_at, position
from bugtracker.feed.types import visible_actions
from bugtracker.feed.waits import Wait
from bugtracker.queries import feed as queries
from bugtracker.webhooks.payload import message
from bugtracker.webhooks.types import TYPES

SPAN = 5_000
"""How many events are looked through for one page. Where few of them are wanted, a page may be
empty and have more behind it: what a request costs does not depend on what it asks for."""


def follow(ctx: Context) -> Reply:
    """The events behind ``after``, and where to go on. Asks to wait where there are none."""
    actions = visible_actions(ctx.principal, ctx.query["types"])
    end: int = ctx.session.scalar(queries.end(ctx)) or 0
    begin = position(ctx, end)
    limit, here = ctx.query["limit"], min(end, begin + SPAN)
    rows = _rows(ctx, actions, begin, here, limit + 1)
    if len(rows) > limit:
        rows = rows[:limit]
        here = rows[-1].number
    cursor = cursor_at(ctx.runtime.keyring, ctx.org_id, here, ctx.now)
    items = [message(TYPES[row.action], row) for row in rows]
    wait = None
    if not items and here == end and ctx.query["wait"]:
        wait = Wait(ctx.org_id, end, frozenset(actions), ctx.query["wait"], _again(ctx, cursor))
    body = {"items": items, "next_cursor": cursor, "has_more": here < end}
    return Reply(body, wait=wait)


def _rows(
    ctx: Context, actions: Sequence[str], begin: int, until: int, most: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    if begin == until:
        return ()
    return ctx.session.execute(queries.between(ctx, actions, begin, until).limit(most)).all()


def _again(ctx: Context, cursor: str) -> str:
    """The query of the request that goes on from here, without waiting."""
    types = {"types": ",".join(ctx.query["types"])} if ctx.query["types"] else {}
    return urlencode({"after": cursor, "limit": ctx.query["limit"], **types})
