"""``fields`` and ``include``: what of an item is shown, and what is put beside it.

The contract lists the names of both for each operation and refuses all others. Whatever a page
has, each include reads once for all of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bugtracker.context import Context, Reply
from bugtracker.paging import Page, Serialise

SPARSE = "application/vnd.bugtracker.sparse+json"
"""Media type of answers with ``fields``, whose schemas require the id only."""

Key = Any
Loaded = Mapping[Key, Any]


@dataclass(frozen=True)
class Include:
    """Something beside an item: what of a row names it, and how all that a page names is read."""

    key: Callable[[Any], Key | None]
    load: Callable[[Context, set[Key]], Loaded]
    missing: Any = None
    """What stands there when a row names nothing."""


Includes = Mapping[str, Include]


def shown_page(ctx: Context, page: Page, serialise: Serialise, includes: Includes) -> Reply:
    """A list as ``fields`` and ``include`` want it."""
    return _typed(ctx, page.reply(ctx, _showing(ctx, page.rows, serialise, includes)))


def shown_item(ctx: Context, row: Any, serialise: Serialise, includes: Includes) -> Reply:
    """One item as ``fields`` and ``include`` want it, with an ETag of just that."""
    show = _showing(ctx, [row], serialise, includes)
    return _typed(ctx, Reply(show(row), version=row.version))


def _typed(ctx: Context, reply: Reply) -> Reply:
    if ctx.query["fields"]:
        reply.media_type = SPARSE
    return reply


def _showing(
    ctx: Context, rows: Iterable[Any], serialise: Serialise, includes: Includes
) -> Serialise:
    """The serialiser, narrowed and extended."""
    wanted = {name: includes[name] for name in ctx.query["include"] or ()}
    loaded = {name: _load(ctx, rows, include) for name, include in wanted.items()}
    fields = ctx.query["fields"]

    def show(row: Any) -> dict[str, Any]:
        body = serialise(row)
        if fields:
            body = {name: value for name, value in body.items() if name == "id" or name in fields}
        for name, include in wanted.items():
            body[name] = loaded[name].get(include.key(row), include.missing)
        return body

    return show


def _load(ctx: Context, rows: Iterable[Any], include: Include) -> Loaded:
    keys = {key for row in rows if (key := include.key(row)) is not None}
    return include.load(ctx, keys) if keys else {}
