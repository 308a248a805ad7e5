"""Accounts and sessions."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import item
from bugtracker.paging import paginate
from bugtracker.queries import accounts as queries
from bugtracker.queries import activity
from bugtracker.serializers import accounts as serializers
from bugtracker.services import registration, sessions

ACCEPTED = {
    "status": "verification_sent",
    "detail": "We sent a mail to this address. Open its link to verify the address, then log in.",
}

RESENT = {
    "status": "verification_requested",
    "detail": "If somebody registered this address, a mail is on its way.",
}


def register(ctx: Context) -> Reply:
    """POST /api/auth/register"""
    registration.register(ctx)
    return Reply(ACCEPTED, status=202)


def verify_email(ctx: Context) -> Reply:
    """POST /api/auth/verify-email"""
    account = registration.verify_email(ctx)
    return Reply({"username": account.username, "email": account.email, "verified": True})


def resend_verification(ctx: Context) -> Reply:
    """POST /api/auth/verify-email/resend"""
    registration.resend(ctx)
    return Reply(RESENT, status=202)


def login(ctx: Context) -> Reply:
    """POST /api/auth/login"""
    return Reply(serializers.token_pair(sessions.log_in(ctx)))


def refresh(ctx: Context) -> Reply:
    """POST /api/auth/refresh"""
    return Reply(serializers.token_pair(sessions.refresh(ctx)))


def logout(ctx: Context) -> Reply:
    """POST /api/auth/logout"""
    sessions.log_out(ctx)
    return Reply(status=204)


def get_me(ctx: Context) -> Reply:
    """GET /api/auth/me"""
    row = ctx.session.execute(queries.me(ctx)).one()
    return item(row, serializers.me(row, ctx.principal))


def list_my_activity(ctx: Context) -> Reply:
    """GET /api/auth/me/activity"""
    page = paginate(ctx, activity.own(ctx), activity.SORTS)
    return page.reply(ctx, serializers.activity_entry)


def get_jwks(ctx: Context) -> Reply:
    """GET /.well-known/jwks.json"""
    cache = {"Cache-Control": "public, max-age=300"}
    return Reply({"keys": ctx.runtime.keys.published()}, headers=cache)


def redirect_register(_: Context) -> Reply:
    """POST /api/register"""
    return Reply(status=308, headers={"Location": "/api/auth/register"})


def redirect_login(_: Context) -> Reply:
    """POST /api/login"""
    return Reply(status=308, headers={"Location": "/api/auth/login"})
