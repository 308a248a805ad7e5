"""The jobs that send mails. Each is told ids; secrets are made here and go into the mail only."""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.mail.message import compose
from bugtracker.mail.sending import send_mail
from bugtracker.models import Account, OneTimeToken
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import new_token, token_hash
from bugtracker.settings import Settings

VERIFY_EMAIL, RESET = "verify_email", "reset_password"
"""Purposes of the tokens, kinds of the mails."""

log = structlog.get_logger()


def verify_email(runtime: Runtime, account_id: str) -> None:
    """Mails a new verification link; earlier ones end. Nothing for a verified or missing account.

    A retry after a failed delivery mints another token, so no secret waits anywhere.
    """
    with runtime.db.transaction() as session:
        account = _account(session, account_id, for_update=True)
        if account is None or account.verified_at is not None:
            return
        lifetime = runtime.settings.verification_token_seconds
        token = _mint(session, account.id, VERIFY_EMAIL, lifetime)
    values = {
        "token": token,
        "link": f"{runtime.settings.links_base}/#action=verify-email&token={token}",
        "endpoint": f"{runtime.settings.base_url}/api/auth/verify-email",
        "hours": f"{runtime.settings.verification_token_seconds / 3600:.3g}",
    }
    _send(runtime.settings, VERIFY_EMAIL, account, values)


def reset_password(runtime: Runtime, account_id: str) -> None:
    """Mails a link for a new password; earlier ones end. Nothing for an unverified or missing
    account: a reset must not verify an address."""
    with runtime.db.transaction() as session:
        account = _account(session, account_id, for_update=True)
        if account is None or account.verified_at is None:
            return
        token = _mint(session, account.id, RESET, runtime.settings.reset_token_seconds)
    values = {
        "token": token,
        "link": f"{runtime.settings.links_base}/#action=reset-password&token={token}",
        "endpoint": f"{runtime.settings.base_url}/api/auth/password/reset",
        "minutes": f"{runtime.settings.reset_token_seconds / 60:.3g}",
    }
    _send(runtime.settings, RESET, account, values)


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
    session.execute(
        update(OneTimeToken)
        .where(
            OneTimeToken.account_id == account_id,
            OneTimeToken.purpose == purpose,
            OneTimeToken.used_at.is_(None),
        )
        .values(used_at=now)
    )
    token = new_token()
    expires_at = now + timedelta(seconds=lifetime)
    row = OneTimeToken(
        id=new_id(),
        account_id=account_id,
        purpose=purpose,
        token_hash=token_hash(token),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    return token


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
