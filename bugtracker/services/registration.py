"""Registering and verifying the address."""

from datetime import timedelta

from sqlalchemy import func, select, text, update

from bugtracker.context import Context
from bugtracker.errors import VerificationTokenInvalid, Violation
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options
from bugtracker.models import Account, Credential, OneTimeToken
from bugtracker.security.passwords import require_strong
from bugtracker.security.secrets import token_hash
from bugtracker.services import events, organisations, usernames

VERIFY_EMAIL = "verify_email"

LOCK_ADDRESS = text("SELECT pg_advisory_xact_lock(hashtextextended(:email, 0))")


def register(ctx: Context) -> None:
    """Prepares an account and queues the mail. Behaves alike for known and unknown addresses."""
    body = ctx.body
    require_strong(body["password"], username=body["username"], email=body["email"])
    password_hash = ctx.runtime.hasher.hash(body["password"])
    session = ctx.session
    # Two registrations of one address at once: the later one replaces the earlier one.
    session.execute(LOCK_ADDRESS, {"email": body["email"].lower()})
    lifetime = timedelta(seconds=ctx.runtime.settings.verification_token_seconds)
    usernames.claim(session, body["username"], body["email"], ctx.now, lifetime)
    account = session.scalar(
        select(Account).where(func.lower(Account.email) == body["email"].lower()).with_for_update()
    )
    if account is not None and account.verified_at is not None:
        _mail(ctx, "mail.address_known", account)
        return
    _mail(ctx, "mail.verify_email", _prepare(ctx, account, password_hash))


def _mail(ctx: Context, job: str, account: Account) -> None:
    """Queues a mail, one at a time for an address: many registrations are no flood of mails."""
    once = Options(queueing_lock=f"{job}:{account.id}")
    ctx.runtime.queue.defer(ctx.session, job, once, account_id=account.id)


def _prepare(ctx: Context, account: Account | None, password_hash: str) -> Account:
    """A new unverified account, or an earlier one made anew with its tokens void."""
    body, session = ctx.body, ctx.session
    if account is None:
        account = Account(id=new_id(), created_at=ctx.now, is_active=True, login_count=0, version=0)
        session.add(account)
    account.username, account.email = body["username"], body["email"]
    account.name, account.pending_org_name = body.get("name"), body.get("org_name")
    account.touch(ctx.now)
    session.flush()
    session.merge(
        Credential(account_id=account.id, password_hash=password_hash, changed_at=ctx.now)
    )
    session.execute(
        update(OneTimeToken)
        .where(OneTimeToken.account_id == account.id, OneTimeToken.used_at.is_(None))
        .values(used_at=ctx.now)
    )
    events.record_for_account(
        ctx,
        "user.registered",
        events.Resource("user", account.id, account.version),
        events.created(username=account.username, email=account.email, name=account.name),
        account_id=account.id,
        org_id=None,
    )
    return account


def verify_email(ctx: Context) -> Account:
    """Redeems a mailed token, once: the account may log in and is in its organisation."""
    account_id = ctx.session.scalar(
        update(OneTimeToken)
        .where(
            OneTimeToken.token_hash == token_hash(ctx.body["token"]),
            OneTimeToken.purpose == VERIFY_EMAIL,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > ctx.now,
        )
        .values(used_at=ctx.now)
        .returning(OneTimeToken.account_id)
    )
    if account_id is None:
        violation = Violation("token", "is unknown, used or expired", pointer="/token")
        raise VerificationTokenInvalid("Register again to get a new link.", errors=[violation])
    account = ctx.session.get_one(Account, account_id, with_for_update=True)
    usernames.keep(ctx.session, account.username, account.email)
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
