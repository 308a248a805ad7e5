"""What people choose for their own account."""

from sqlalchemy import select

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.models import Account
from bugtracker.services import events
from bugtracker.services.changes import apply_patch


def update_me(ctx: Context) -> None:
    """Applies a merge patch to the caller's account. It is nobody else's business: the event
    belongs to no organisation."""
    own = select(Account).where(Account.id == ctx.user_id).with_for_update()
    account = ctx.session.scalars(own).one()
    check_if_match(ctx, account, account.id, of_account=True)
    changes = apply_patch(account, ctx.body)
    if changes:
        account.touch(ctx.now)
        resource = events.Resource("user", account.id, account.version)
        events.record_for_account(
            ctx, "user.updated", resource, changes, account_id=account.id, org_id=None
        )
