"""What the organisation uses, in numbers."""

from bugtracker.context import Context, Reply
from bugtracker.periods import Moments
from bugtracker.queries import request_counts as queries
from bugtracker.serializers import request_counts as serializers


def get_rate_limit_analytics(ctx: Context) -> Reply:
    """GET /api/analytics/rate-limits"""
    period = Moments.asked(ctx.query, ctx.now)
    rows = ctx.session.execute(queries.counted(ctx, period)).all()
    return Reply(serializers.rate_limits(rows, period))
