"""Who logs in most: from the counts by day, and from events for days that are not counted yet."""

from sqlalchemy import CTE, TIMESTAMP, Date, Integer, and_, cast, func, select, true, union_all

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.login_analytics.windows import Window
from bugtracker.models import Account, LoginDaily, LoginDay, LoginEvent, Member
from bugtracker.queries.people import NAME, USERNAME, has_account


def listed(ctx: Context, window: Window) -> Rows:
    """The members who logged in most, at most ``limit``, beside the totals of the organisation.

    One statement, so one moment: a day is either counted with all its events or has a mark, and
    its events are counted here. Without members to show, one row has the totals only.
    """
    counted = _counted(ctx, window)
    totals = select(
        func.coalesce(func.sum(counted.c.logins), 0).cast(Integer).label("logins"),
        func.count().label("people"),
    ).select_from(counted)
    first = _first(ctx, counted).subquery("first")
    total = totals.subquery("total")
    return (
        select(total, *first.c).select_from(total.outerjoin(first, true())).order_by(first.c.place)
    )


def _first(ctx: Context, counted: CTE) -> Rows:
    """Most logins first, then by username in any case, then by id: an order without ties."""
    order = (counted.c.logins.desc(), func.lower(USERNAME), Member.user_id)
    return (
        select(
            func.row_number().over(order_by=order).label("place"),
            Member.user_id.label("id"),
            USERNAME.label("username"),
            NAME.label("name"),
            counted.c.logins.label("own_logins"),
        )
        .join(Member, and_(Member.org_id == ctx.org_id, Member.user_id == counted.c.user_id))
        .outerjoin(Account, has_account())
        .where(Member.removed_at.is_(None))
        .order_by(*order)
        .limit(ctx.query["limit"])
    )


def _counted(ctx: Context, window: Window) -> CTE:
    """The logins of each person in the window."""
    marked = (
        select(LoginDay.date)
        .where(LoginDay.org_id == ctx.org_id, LoginDay.date.between(window.first, window.last))
        .where(LoginDay.rolled_up_at.is_(None))
        .cte("marked")
    )
    rolled_up = select(LoginDaily.user_id, LoginDaily.count.label("logins")).where(
        LoginDaily.org_id == ctx.org_id,
        LoginDaily.date.between(window.first, window.last),
        LoginDaily.date.not_in(select(marked.c.date)),
    )
    both = union_all(rolled_up, _fresh(ctx, window, marked)).subquery()
    logins = func.sum(both.c.logins).cast(Integer).label("logins")
    return select(both.c.user_id, logins).group_by(both.c.user_id).cte("counted")


def _fresh(ctx: Context, window: Window, marked: CTE) -> Rows:
    """The logins of each person on the marked days, from their events."""
    # A parameter for PostgreSQL, not a column: only so it can be a bound of an index scan under
    # row-level security. Mostly it is today, or yesterday for an hour.
    earliest = select(func.min(marked.c.date)).scalar_subquery()
    return (
        select(LoginEvent.user_id, func.count().label("logins"))
        .where(
            LoginEvent.org_id == ctx.org_id,
            LoginEvent.created_at >= window.begins,
            LoginEvent.created_at < window.ends,
            LoginEvent.created_at >= func.timezone("UTC", cast(earliest, TIMESTAMP)),
            func.timezone("UTC", LoginEvent.created_at).cast(Date).in_(select(marked.c.date)),
        )
        .group_by(LoginEvent.user_id)
    )
