"""Accounts and sessions."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import item
from bugtracker.messages import _
from bugtracker.paging import paginate
from bugtracker.queries import accounts as queries
from bugtracker.queries import activity
from bugtracker.serializers import accounts as serializers
from bugtracker.services import account_settings, logins, registration, sessions
from bugtracker.services.logins import Challenge
from bugtracker.services.sessions import TokenPair

ACCEPTED = {
    "status": "verification_sent",
    "detail": _(
        "We sent a mail to this address. Open its link to verify the address, then log in."
    ),
}

RESENT = {
    "status": "verification_requested",
    "detail": _("If somebody registered this address, a mail is on its way."),
}

LINK_REQUESTED = {
    "status": "magic_link_requested",
    "detail": _("If this is the verified address of an account, a mail with a link is on its way."),
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
    return _entered(logins.log_in(ctx))


def complete_login(ctx: Context) -> Reply:
    """POST /api/auth/login/two-factor"""
    return _entered(logins.complete(ctx))


def request_magic_link(ctx: Context) -> Reply:
    """POST /api/auth/magic-link"""
    logins.request_magic_link(ctx)
    return Reply(LINK_REQUESTED, status=202)


def login_by_magic_link(ctx: Context) -> Reply:
    """POST /api/auth/magic-link/login"""
    return _entered(logins.follow_magic_link(ctx))


def _entered(outcome: TokenPair | Challenge) -> Reply:
    """The reply of every way in: tokens, or 202 and what the second factor is waited for with."""
    if isinstance(outcome, Challenge):
        return Reply(serializers.challenge(outcome), status=202)
    return Reply(serializers.token_pair(outcome))


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


def update_me(ctx: Context) -> Reply:
    """PATCH /api/auth/me"""
    account_settings.update_me(ctx)
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
