"""One search over everything in the organisation that the caller may read."""

from bugtracker.context import Context, Reply
from bugtracker.paging import paginate
from bugtracker.queries import searching as queries
from bugtracker.serializers import search as serializers


def search(ctx: Context) -> Reply:
    """GET /api/search"""
    page = paginate(ctx, *queries.listed(ctx))
    shown = queries.shown(ctx, page.rows)
    words = queries.plain_words(ctx.query["q"])
    return page.reply(ctx, lambda hit: serializers.found(hit, shown[hit.type, hit.id], words))
