"""How it stands with one's own second factor."""

from sqlalchemy import func, select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import BackupCode, TwoFactor


def own(ctx: Context) -> Rows:
    """One row: when it was confirmed, if at all, and how many backup codes are left."""
    confirmed = select(TwoFactor.confirmed_at).where(TwoFactor.account_id == ctx.user_id)
    left = select(func.count()).where(
        BackupCode.account_id == ctx.user_id, BackupCode.used_at.is_(None)
    )
    return select(
        confirmed.scalar_subquery().label("confirmed_at"),
        left.scalar_subquery().label("backup_codes_left"),
    )
