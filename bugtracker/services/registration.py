"""Registering and verifying the address."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from bugtracker.context import Context
from bugtracker.errors import VerificationTokenInvalid, Violation
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options
from bugtracker.mail.queueing import queue_mail
from bugtracker.messages import Message, _
from bugtracker.models import Account, OneTimeToken
from bugtracker.security import one_time_tokens
from bugtracker.security.one_time_tokens import VERIFY_EMAIL
from bugtracker.security.secrets import token_hash
from bugtracker.services import accounts, events, organisations, usernames
from bugtracker.services.accounts import Registrant


def register(ctx: Context) -> None:
    """Prepares an account and queues the mail. Behaves alike for known and unknown addresses."""
    body, session = ctx.body, ctx.session
    ctx.runtime.policy.require_strong(
        body["password"], username=body["username"], email=body["email"]
    )
    # Slow on purpose, and therefore before this request holds a connection.
    password_hash = ctx.runtime.hasher.hash(body["password"])
    # Two registrations of one address at once: the later one replaces the earlier one.
    account = accounts.lock_address(session, body["email"])
    lifetime = timedelta(seconds=ctx.runtime.settings.verification_token_seconds)
    usernames.claim(session, body["username"], body["email"], ctx.now, lifetime)
    registrant = Registrant(
        body["email"], body["username"], password_hash, body.get("name"), body.get("org_name")
    )
    if account is None or account.verified_at is None:
        account_id, mail = _prepare(ctx, account, registrant), "verify_email"
    else:
        # The same steps, undone: the time that the answer takes must not tell either.
        account_id, mail = account.id, "address_known"
        stranger = replace(registrant, email=f"{new_id()}@unknown.invalid")
        _prepare(ctx, None, stranger, undo=True)
    queue_mail(ctx, mail, account_id=account_id)


def _prepare(
    ctx: Context, account: Account | None, registrant: Registrant, *, undo: bool = False
) -> UUID:
    with ctx.session.begin_nested() as steps:
        account = accounts.make_ready(ctx.session, account, registrant, ctx.now)
        account_id = account.id
        events.record_for_account(
            ctx,
            "user.registered",
            events.Resource("user", account_id, account.version),
            events.created(username=account.username, email=account.email, name=account.name),
            account_id=account_id,
            org_id=None,
        )
        if undo:
            steps.rollback()
    return account_id


def resend(ctx: Context) -> None:
    """Queues another mail: a new link, or that the address is verified already. Does the same for
    an address that nobody registered: the job that looks for its stand-in finds nobody."""
    email = ctx.body["email"]
    columns = (Account.id, Account.verified_at)
    row = ctx.session.execute(
        select(*columns).where(func.lower(Account.email) == email.lower())
    ).one_or_none()
    account_id = row.id if row else accounts.stand_in(ctx, email)
    mail = "address_known" if row and row.verified_at else "verify_email"
    waiting = Options(queueing_lock=f"{VERIFY_EMAIL}:{account_id}")
    queue_mail(ctx, mail, waiting, account_id=account_id)


def verify_email(ctx: Context) -> Account:
    """Redeems a mailed token, once: the account may log in and is in its organisation."""
    account = _redeem(ctx)
    if account is None:
        raise _link_invalid(
            _("Get a new link by POST /api/auth/verify-email/resend with the address.")
        )
    if not usernames.keep(ctx.session, account.username, account.email):
        raise _link_invalid(
            _("Somebody took the username in the meantime; register again with another one.")
        )
    account.verified_at = ctx.now
    account.touch(ctx.now)
    org_id = organisations.join_first(ctx, account)
    account.pending_org_name = None
    events.record_for_account(
        ctx,
        "user.verified",
        events.Resource("user", account.id, account.version),
        {"verified": (False, True)},
        account_id=account.id,
        org_id=org_id,
    )
    return account


def _redeem(ctx: Context) -> Account | None:
    """The unverified account whose live token this was; None for any other token.

    Locks the account before its token, as registering and mailing do.
    """
    token = ctx.body["token"]
    account = ctx.session.scalar(
        select(Account)
        .join(OneTimeToken, OneTimeToken.account_id == Account.id)
        .where(OneTimeToken.token_hash == token_hash(token), Account.verified_at.is_(None))
        .with_for_update(of=Account)
    )
    redeemed = one_time_tokens.redeem(ctx.session, token, VERIFY_EMAIL, ctx.now)
    if account is None or redeemed is None or redeemed.account_id != account.id:
        return None
    return account


def _link_invalid(detail: Message) -> VerificationTokenInvalid:
    violation = Violation("token", _("is unknown, used or expired"), pointer="/token")
    return VerificationTokenInvalid(detail, errors=[violation])
