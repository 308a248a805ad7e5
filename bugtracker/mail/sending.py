"""The way out of a mail: an SMTP server, or a file where none is configured."""

import os
import smtplib
import ssl
import tempfile
from email.message import EmailMessage
from pathlib import Path

from bugtracker.clock import utc_now
from bugtracker.settings import Settings

SMTP_TIMEOUT = 10
"""Seconds for each step of the conversation."""


def send_mail(settings: Settings, message: EmailMessage) -> None:
    """Hands a mail to the SMTP server, or writes it into ``mail_dir``. Blocks.

    Raises OSError (smtplib's errors are OSErrors) when it could not be handed over.
    """
    if settings.smtp_host is None:
        _write(settings.mail_dir, message)
    else:
        _transmit(settings, settings.smtp_host, message)


def _transmit(settings: Settings, host: str, message: EmailMessage) -> None:
    with smtplib.SMTP(host, settings.smtp_port, timeout=SMTP_TIMEOUT) as server:
        if settings.smtp_starttls:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_username is not None:
            password = settings.smtp_password
            server.login(settings.smtp_username, password.get_secret_value() if password else "")
        server.send_message(message)


def _write(directory: Path, message: EmailMessage) -> Path:
    """``<UTC time>-<kind>-<id>.eml``, readable by its owner only, there at once or not at all."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    kind_and_id = str(message["Message-ID"]).strip("<>").partition("@")[0]
    name = f"{utc_now():%Y%m%dT%H%M%S.%fZ}-{kind_and_id.replace('.', '-')}.eml"
    # mkstemp makes it 0600.
    descriptor, draft = tempfile.mkstemp(dir=directory, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(message.as_bytes())
        return Path(draft).replace(directory / name)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
