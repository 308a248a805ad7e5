"""The audit log: list, export, verify."""

from bugtracker.context import Context, Reply
from bugtracker.paging import paginate
from bugtracker.queries import audit as queries
from bugtracker.serializers import audit as serializers


def list_audit_events(ctx: Context) -> Reply:
    """GET /api/audit"""
    page = paginate(ctx, queries.listed(ctx), queries.SORTS)
    return page.reply(ctx, serializers.event)
