"""The jobs that send mails. Each is told ids; secrets are made here and go into the mail only."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.mail.message import compose
from bugtracker.mail.sending import send_mail
from bugtracker.models import Account, BackupCode
from bugtracker.models import Session as Login
from bugtracker.runtime import Runtime
from bugtracker.security import one_time_tokens
from bugtracker.security.one_time_tokens import MAGIC_LINK, RESET, VERIFY_EMAIL
from bugtracker.serializers.sessions import device
from bugtracker.settings import Settings

log = structlog.get_logger()


def verify_email(runtime: Runtime, account_id: str) -> None:
    """Mails a new verification link; earlier ones end. Nothing for a verified or missing account.

    A retry after a failed delivery mints another token, so no secret waits anywhere.
    """
    lifetime = runtime.settings.verification_token_seconds
    _send_link(runtime, account_id, Link(VERIFY_EMAIL, "verify-email", lifetime, verified=False))


def reset_password(runtime: Runtime, account_id: str) -> None:
    """Mails a link for a new password; earlier ones end. Nothing for an unverified or missing
    account: a reset must not verify an address."""
    lifetime = runtime.settings.reset_token_seconds
    _send_link(runtime, account_id, Link(RESET, "password/reset", lifetime))


def magic_link(runtime: Runtime, account_id: str) -> None:
    """Mails a link to log in with; earlier ones end. Nothing for an unverified or missing
    account."""
    lifetime = runtime.settings.magic_link_seconds
    _send_link(runtime, account_id, Link(MAGIC_LINK, "magic-link/login", lifetime))


@dataclass(frozen=True)
class Link:
    """A mail with a link: its purpose, where the token is posted to, the seconds it lives, and
    whether it is for verified accounts or for those that are not yet."""

    purpose: str
    path: str
    lifetime: int
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
        "hours": f"{link.lifetime / 3600:.3g}",
        "minutes": f"{link.lifetime / 60:.3g}",
    }
    _send(runtime.settings, link.purpose, account, values)


def two_factor_changed(runtime: Runtime, account_id: str, change: str) -> None:
    """Tells the owner what happened to the second factor: it may not have been them."""
    with runtime.db.transaction() as session:
        account = _account(session, account_id)
        left = _backup_codes_left(session, account_id)
    if account is not None:
        values = {"change": change, "left": str(left)}
        _send(runtime.settings, "two_factor_changed", account, values)


def _backup_codes_left(session: Session, account_id: str) -> int:
    own = (BackupCode.account_id == UUID(account_id), BackupCode.used_at.is_(None))
    return session.scalar(select(func.count()).where(*own)) or 0


def new_sign_in(runtime: Runtime, session_id: str) -> None:
    """Tells the owner of a login by another program or from another network than before."""
    with runtime.db.transaction() as session:
        login = session.get(Login, UUID(session_id))
        account = None if login is None else _account(session, str(login.account_id))
    if login is not None and account is not None:
        values = {
            "device": device(login.user_agent),
            "ip": str(login.ip or "unknown"),
            "time": f"{login.created_at:%Y-%m-%d %H:%M} UTC",
        }
        _send(runtime.settings, "new_sign_in", account, values)


def password_changed(runtime: Runtime, account_id: str) -> None:
    """Tells the owner that the account has a new password: it may not have been them."""
    with runtime.db.transaction() as session:
        account = _account(session, account_id)
    if account is not None:
        endpoint = f"{runtime.settings.base_url}/api/auth/password/forgot"
        _send(runtime.settings, "password_changed", account, {"endpoint": endpoint})


def address_known(runtime: Runtime, account_id: str) -> None:
    """Mails the owner of an address that somebody tried to register it again."""
    with runtime.db.transaction() as session:
        account = _account(session, account_id)
    if account is not None:
        _send(runtime.settings, "address_known", account, {})


def _account(session: Session, account_id: str, *, for_update: bool = False) -> Account | None:
    wanted = select(Account).where(Account.id == UUID(account_id), Account.is_active)
    # One at a time: of two links for one account, the later one has to live.
    return session.scalar(wanted.with_for_update() if for_update else wanted)


def _mint(session: Session, account_id: UUID, purpose: str, lifetime: int) -> str:
    """A new one-time token for so many seconds; those before it for the purpose are used up."""
    now = utc_now()
    one_time_tokens.void(session, account_id, now, purpose)
    return one_time_tokens.mint(session, account_id, purpose, lifetime, now)


def _send(settings: Settings, kind: str, account: Account, values: dict[str, str]) -> None:
    message = compose(
        kind,
        sender=settings.mail_from,
        recipient=account.email,
        now=utc_now(),
        values={"username": account.username, "base_url": settings.base_url, **values},
    )
    send_mail(settings, message)
    log.info("mail_sent", kind=kind, account=str(account.id))
