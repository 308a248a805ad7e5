"""Changing a password, and a forgotten one."""

from bugtracker.context import Context, Reply
from bugtracker.messages import _
from bugtracker.services import passwords

REQUESTED = {
    "status": "reset_requested",
    "detail": _("If this is the verified address of an account, a mail with a link is on its way."),
}


def change_password(ctx: Context) -> Reply:
    """POST /api/auth/password"""
    passwords.change_password(ctx)
    return Reply(status=204)


def request_password_reset(ctx: Context) -> Reply:
    """POST /api/auth/password/forgot"""
    passwords.request_reset(ctx)
    return Reply(REQUESTED, status=202)


def reset_password(ctx: Context) -> Reply:
    """POST /api/auth/password/reset"""
    account = passwords.reset_password(ctx)
    return Reply({"username": account.username, "email": account.email})
