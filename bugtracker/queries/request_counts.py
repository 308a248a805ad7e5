"""Requests of an organisation, and what rate limits did with them."""

from sqlalchemy import BigInteger, cast, func, select, tuple_

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import RequestHour, RequestMinute
from bugtracker.periods import Moments


def counted(ctx: Context, period: Moments) -> Rows:
    """``allowed`` and ``limited`` of each moment, whose ``operation`` is None, and of each
    operation, whose ``at`` is; those with any request."""
    table = RequestMinute if period.interval == "minute" else RequestHour
    at = RequestMinute.minute if period.interval == "minute" else RequestHour.hour
    sums = [
        cast(func.sum(count), BigInteger).label(name)
        for name, count in (("allowed", table.allowed), ("limited", table.limited))
    ]
    statement = (
        select(at.label("at"), table.operation, *sums)
        .where(table.org_id == ctx.org_id, at >= period.begins, at < period.ends)
        .group_by(func.grouping_sets(tuple_(at), tuple_(table.operation)))
    )
    operation = ctx.query["operation"]
    return statement if operation is None else statement.where(table.operation == operation)
