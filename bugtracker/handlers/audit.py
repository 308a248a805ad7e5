"""The audit log: list, export, verify."""

from bugtracker.audit import export, verifying
from bugtracker.context import Context, Reply
from bugtracker.paging import paginate
from bugtracker.queries import audit as queries
from bugtracker.serializers import audit as serializers

MOST_VERIFIED = 20_000
"""Events that one request checks; who has more asks on from ``next_number``."""


def list_audit_events(ctx: Context) -> Reply:
    """GET /api/audit"""
    page = paginate(ctx, queries.listed(ctx), queries.SORTS)
    return page.reply(ctx, serializers.event)


def export_audit_events(ctx: Context) -> Reply:
    """GET /api/audit/export"""
    return export.reply(ctx)


def verify_audit(ctx: Context) -> Reply:
    """GET /api/audit/verify"""
    report = verifying.verify(
        ctx.session,
        ctx.runtime.keyring,
        ctx.org_id,
        from_number=ctx.query["from_number"],
        most=MOST_VERIFIED,
    )
    return Reply(serializers.verification(report))
