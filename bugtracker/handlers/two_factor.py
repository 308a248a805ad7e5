"""The second factor of one's own account."""

from bugtracker.context import Context, Reply
from bugtracker.queries import two_factor as queries
from bugtracker.serializers import two_factor as serializers
from bugtracker.services import two_factor


def get_two_factor(ctx: Context) -> Reply:
    """GET /api/auth/two-factor"""
    row = ctx.session.execute(queries.own(ctx)).one()
    return Reply(serializers.state(row))


def enrol_two_factor(ctx: Context) -> Reply:
    """POST /api/auth/two-factor"""
    return Reply(serializers.enrolment(two_factor.enrol(ctx)))


def confirm_two_factor(ctx: Context) -> Reply:
    """POST /api/auth/two-factor/confirm"""
    return Reply(serializers.backup_codes(two_factor.confirm(ctx)))


def disable_two_factor(ctx: Context) -> Reply:
    """POST /api/auth/two-factor/disable"""
    two_factor.disable(ctx)
    return Reply(status=204)


def regenerate_backup_codes(ctx: Context) -> Reply:
    """POST /api/auth/two-factor/backup-codes"""
    return Reply(serializers.backup_codes(two_factor.regenerate_backup_codes(ctx)))
