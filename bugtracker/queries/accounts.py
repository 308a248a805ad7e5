"""Reading the caller's own account."""

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Account


def me(ctx: Context) -> Rows:
    """The caller's account; the role comes with the principal."""
    return select(
        Account.id,
        Account.username,
        Account.name,
        Account.language,
        Account.email,
        Account.verified_at,
        Account.is_active,
        Account.created_at,
        Account.last_login,
        Account.login_count,
        Account.version,
    ).where(Account.id == ctx.user_id)
