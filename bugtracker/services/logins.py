"""Logging in: by password, then by the second factor where the account has one.

Every way in ends in :func:`enter`, so none can leave the second factor out.
"""

from dataclasses import dataclass

from bugtracker.context import Context
from bugtracker.errors import CredentialsInvalid, MagicLinkInvalid, TwoFactorInvalid, Violation
from bugtracker.messages import _
from bugtracker.models import Account, Credential
from bugtracker.security import one_time_tokens
from bugtracker.security.one_time_tokens import CHALLENGE, MAGIC_LINK
from bugtracker.services import accounts, attempts, credentials, second_factor, sessions
from bugtracker.services.credentials import Found
from bugtracker.services.sessions import TokenPair

CHALLENGED = {"WWW-Authenticate": 'Bearer realm="bugtracker"'}


@dataclass(frozen=True)
class Challenge:
    """What a login gets that waits, ``expires_in`` seconds, for the second factor."""

    challenge: str
    expires_in: int


def log_in(ctx: Context) -> TokenPair | Challenge:
    """By password. 401 alike for an unknown account, a wrong password, a disabled or locked
    account and one whose address is not verified.

    Were the last one told apart, registering an address and then logging in would tell whether
    it had been known.
    """
    found = credentials.find_for_login(ctx)
    # Slow on purpose, and therefore before this request holds a connection.
    if not attempts.check_password(ctx, found, ctx.body["password"]) or found is None:
        raise _credentials_invalid()
    hasher = ctx.runtime.hasher
    outdated = hasher.is_outdated(found.password_hash)
    rehashed = hasher.hash(ctx.body["password"]) if outdated else None
    account, credential = _still_right(ctx, found)
    if rehashed is not None:
        credential.password_hash = rehashed
    return enter(ctx, account, "password")


def _still_right(ctx: Context, found: Found) -> tuple[Account, Credential]:
    """Account and credential, locked. Checking the password took a while: 401 when meanwhile the
    account was disabled or its password changed."""
    locked = credentials.lock_unchanged(ctx, found)
    if locked is None:
        raise _credentials_invalid()
    return locked


def _credentials_invalid() -> CredentialsInvalid:
    return CredentialsInvalid(
        _(
            "Check the account and the password. A new account must be verified before: open the"
            " link that was mailed to you."
        ),
        headers=CHALLENGED,
    )


def enter(ctx: Context, account: Account, by: str) -> TokenPair | Challenge:
    """A session for a locked account that proved itself ``by`` one factor, or a challenge where
    it has a second one."""
    wanted = sessions.wanted_organisation(ctx)
    if not second_factor.is_on(ctx, account.id):
        return sessions.start(ctx, account, wanted, {"by": by})
    lifetime = ctx.runtime.settings.two_factor_challenge_seconds
    token = one_time_tokens.mint(
        ctx.session, account.id, CHALLENGE, lifetime, ctx.now, wanted_org_id=wanted
    )
    return Challenge(token, lifetime)


def request_magic_link(ctx: Context) -> None:
    """Queues the mail with the link."""
    accounts.queue_link(ctx, MAGIC_LINK)


def follow_magic_link(ctx: Context) -> TokenPair | Challenge:
    """By mailed token, once. 422 for one that is not live (any more).

    Also during a lockout: nobody guesses these tokens, and so the owner is not locked out by
    whoever tries passwords. A second factor still waits for its end: codes can be guessed.
    """
    token = ctx.body["token"]
    found = credentials.find_by_token(ctx, token, MAGIC_LINK)
    # The account before its token, as mailing does.
    account = credentials.lock_verified_account(ctx, found.id) if found else None
    if account is None or not one_time_tokens.redeem(ctx.session, token, MAGIC_LINK, ctx.now):
        violation = Violation("token", _("is unknown, used or expired"), pointer="/token")
        raise MagicLinkInvalid(_("Ask for another mail to get a new link."), errors=[violation])
    return enter(ctx, account, "magic_link")


def complete(ctx: Context) -> TokenPair:
    """By challenge and code: the session. 401 alike for a wrong, used or late code, for a
    challenge that is unknown, used or expired, and during a lockout."""
    token = ctx.body["challenge"]
    found = credentials.find_by_token(ctx, token, CHALLENGE)
    if found is None:
        raise _two_factor_invalid()
    attempt = attempts.reserve(ctx, found.id, weight=attempts.CODE_WEIGHT)
    locked = credentials.lock_unchanged(ctx, found)
    # With the account locked it stays as it is, and no code is used up for nothing.
    if locked is None or not one_time_tokens.is_live(ctx.session, token, CHALLENGE, ctx.now):
        attempts.record_failure(ctx, attempt, found.id, "login.failed")
        raise _two_factor_invalid()
    kind = second_factor.accept(ctx, attempt, found.id, ctx.body["code"], "login.failed")
    # Last: a wrong code leaves the challenge for another try.
    redeemed = kind and one_time_tokens.redeem(ctx.session, token, CHALLENGE, ctx.now)
    if not kind or redeemed is None:
        raise _two_factor_invalid()
    return sessions.start(ctx, locked[0], redeemed.wanted_org_id, {"second_factor": kind})


def _two_factor_invalid() -> TwoFactorInvalid:
    violation = Violation("code", _("is wrong, too old or used already"), pointer="/code")
    return TwoFactorInvalid(
        _(
            "Send the code that your authenticator shows now, or a backup code you have not used."
            " After a few minutes log in anew to get another challenge."
        ),
        errors=[violation],
        headers=CHALLENGED,
    )
