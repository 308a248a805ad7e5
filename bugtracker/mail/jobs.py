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

VERIFY_EMAIL = "verify_email"
"""Purpose of the token, kind of the mail."""

log = structlog.get_logger()


def verify_email(runtime: Runtime, account_id: str) -> None:
    """Mails a new verification link; earlier ones end. Nothing for a verified or missing account.

    A retry after a failed delivery mints another token, so no secret waits anywhere.
    """
    with runtime.db.transaction() as session:
        account = _account(session, account_id, for_update=True)
        if account is None or account.verified_at is not None:
            return
        token = _mint(session, account.id, VERIFY_EMAIL, runtime.settings)
    values = {
        "token": token,
        "link": f"{runtime.settings.links_base}/#action=verify-email&token={token}",
        "endpoint": f"{runtime.settings.base_url}/api/auth/verify-email",
        "hours": f"{runtime.settings.verification_token_seconds / 3600:.3g}",
    }
    _send(runtime.settings, VERIFY_EMAIL, account, values)


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


def _mint(session: Session, account_id: UUID, purpose: str, settings: Settings) -> str:
    """A new one-time token; those before it for the same purpose are used up."""
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
    expires_at = now + timedelta(seconds=settings.verification_token_seconds)
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
