"""The jobs that send mails. Each is told ids, and the language of the request behind it; secrets
are made here and go into the mail only."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.mail.letters import send_to_account
from bugtracker.mail.message import duration
from bugtracker.messages import SOURCE, _
from bugtracker.models import Account, BackupCode
from bugtracker.models import Session as Login
from bugtracker.runtime import Runtime
from bugtracker.security import one_time_tokens
from bugtracker.security.one_time_tokens import MAGIC_LINK, RESET, VERIFY_EMAIL
from bugtracker.serializers.sessions import device


def verify_email(runtime: Runtime, account_id: str, language: str = SOURCE) -> None:
    """Mails a new verification link; earlier ones end. Nothing for a verified or missing account.

    A retry after a failed delivery mints another token, so no secret waits anywhere.
    """
    lifetime = runtime.settings.verification_token_seconds
    link = Link(VERIFY_EMAIL, "verify-email", lifetime, language, verified=False)
    _send_link(runtime, account_id, link)


def reset_password(runtime: Runtime, account_id: str, language: str = SOURCE) -> None:
    """Mails a link for a new password; earlier ones end. Nothing for an unverified or missing
    account: a reset must not verify an address."""
    if _told_of_removal(runtime, account_id, language):
        return
    lifetime = runtime.settings.reset_token_seconds
    _send_link(runtime, account_id, Link(RESET, "password/reset", lifetime, language))


def magic_link(runtime: Runtime, account_id: str, language: str = SOURCE) -> None:
    """Mails a link to log in with; earlier ones end. Nothing for an unverified or missing
    account."""
    if _told_of_removal(runtime, account_id, language):
        return
    lifetime = runtime.settings.magic_link_seconds
    _send_link(runtime, account_id, Link(MAGIC_LINK, "magic-link/login", lifetime, language))


@dataclass(frozen=True)
class Link:
    """A mail with a link: its purpose, where the token is posted to, the seconds it lives, the
    language it was asked for in, and whether it is for verified accounts or for those that are not
    yet."""

    purpose: str
    path: str
    lifetime: int
    language: str
    verified: bool = True


def _send_link(runtime: Runtime, account_id: str, link: Link) -> None:
    with runtime.db.transaction() as session:
        account = _account(session, account_id, for_update=True)
        if account is None or (account.verified_at is not None) is not link.verified:
            return
        token = _mint(session, account.id, link.purpose, link.lifetime)
    action = link.purpose.replace("_", "-")
    values = {
        "token": token,
        "link": f"{runtime.settings.links_base}/#action={action}&token={token}",
        "endpoint": f"{runtime.settings.base_url}/api/auth/{link.path}",
        "lifetime": duration(link.lifetime),
    }
    send_to_account(runtime.settings, link.purpose, account, values, link.language)


def two_factor_changed(
    runtime: Runtime, account_id: str, change: str, language: str = SOURCE
) -> None:
    """Tells the owner what happened to the second factor: it may not have been them."""
    with runtime.db.transaction() as session:
        account = _account(session, account_id)
        left = _backup_codes_left(session, account_id)
    if account is not None:
        values = {"change": change, "left": str(left)}
        send_to_account(runtime.settings, "two_factor_changed", account, values, language)


def _backup_codes_left(session: Session, account_id: str) -> int:
    own = (BackupCode.account_id == UUID(account_id), BackupCode.used_at.is_(None))
    return session.scalar(select(func.count()).where(*own)) or 0


def new_sign_in(runtime: Runtime, session_id: str, language: str = SOURCE) -> None:
    """Tells the owner of a login by another program or from another network than before."""
    with runtime.db.transaction() as session:
        login = session.get(Login, UUID(session_id))
        account = None if login is None else _account(session, str(login.account_id))
    if login is not None and account is not None:
        values = {
            "device": device(login.user_agent),
            "ip": str(login.ip) if login.ip else _("unknown"),
            "time": f"{login.created_at:%Y-%m-%d %H:%M} UTC",
        }
        send_to_account(runtime.settings, "new_sign_in", account, values, language)


def password_changed(runtime: Runtime, account_id: str, language: str = SOURCE) -> None:
    """Tells the owner that the account has a new password: it may not have been them."""
    with runtime.db.transaction() as session:
        account = _account(session, account_id)
    if account is not None:
        endpoint = f"{runtime.settings.base_url}/api/auth/password/forgot"
        values = {"endpoint": endpoint}
        send_to_account(runtime.settings, "password_changed", account, values, language)


def address_known(runtime: Runtime, account_id: str, language: str = SOURCE) -> None:
    """Mails the owner of an address that somebody tried to register it again."""
    if _told_of_removal(runtime, account_id, language):
        return
    with runtime.db.transaction() as session:
        account = _account(session, account_id)
    if account is not None:
        send_to_account(runtime.settings, "address_known", account, {}, language)


def _told_of_removal(runtime: Runtime, account_id: str, language: str) -> bool:
    """Mails somebody whose last organisation removed them why nothing works; False for others.

    No answer may tell, so whoever has only that one waits for a mail that never comes. What the
    operator disabled is between the two of them.
    """
    with runtime.db.transaction() as session:
        account = session.scalar(
            select(Account).where(
                Account.id == UUID(account_id),
                Account.deactivated_by_removal,
                Account.verified_at.is_not(None),
            )
        )
    if account is not None:
        send_to_account(runtime.settings, "account_disabled", account, {}, language)
    return account is not None


def _account(session: Session, account_id: str, *, for_update: bool = False) -> Account | None:
    wanted = select(Account).where(Account.id == UUID(account_id), Account.is_active)
    # One at a time: of two links for one account, the later one has to live.
    return session.scalar(wanted.with_for_update() if for_update else wanted)


def _mint(session: Session, account_id: UUID, purpose: str, lifetime: int) -> str:
    """A new one-time token for so many seconds; those before it for the purpose are used up."""
    now = utc_now()
    one_time_tokens.void(session, account_id, now, purpose)
    return one_time_tokens.mint(session, account_id, purpose, lifetime, now)
