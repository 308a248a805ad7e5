"""The last step of every job that mails: fill in the template, hand it over, log that it went."""

from collections.abc import Mapping

import structlog

from bugtracker.clock import utc_now
from bugtracker.mail.message import compose, language_for
from bugtracker.mail.sending import send_mail
from bugtracker.models import Account
from bugtracker.settings import Settings

log = structlog.get_logger()


def send_letter(
    settings: Settings,
    kind: str,
    recipient: str,
    values: Mapping[str, str],
    language: str,
    **about: str,
) -> None:
    """Mails the template ``kind``; ``about`` are the ids that the log tells. Blocks.

    Raises OSError when the mail could not be handed over: the job is tried again.
    """
    message = compose(
        kind,
        sender=settings.mail_from,
        recipient=recipient,
        now=utc_now(),
        values={"base_url": settings.base_url, **values},
        language=language,
    )
    send_mail(settings, message)
    log.info("mail_sent", kind=kind, **about)


def send_to_account(
    settings: Settings, kind: str, account: Account, values: Mapping[str, str], asked: str
) -> None:
    """In the language that the account has set, else in the one it was asked for in."""
    send_letter(
        settings,
        kind,
        account.email,
        {"username": account.username, **values},
        language_for(account.language, asked),
        account=str(account.id),
    )
