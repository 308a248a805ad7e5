"""Mails made from templates: plain text and HTML, with headers nobody can add to."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bugtracker.ids import new_id
from bugtracker.messages import LANGUAGES, SOURCE, Message, ngettext, translated

MINUTE, HOUR, DAY = 60, 3600, 86400
TEMPLATES = Path(__file__).parent / "templates"

# Lines as long as a mail may have them (RFC 5322, 2.1.1): folding would cut the links of a mail
# that is read as a file. Seven bits go through every server.
POLICY = SMTP.clone(max_line_length=998, cte_type="7bit")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def compose(
    kind: str,
    *,
    sender: str,
    recipient: str,
    now: datetime,
    values: Mapping[str, str],
    language: str = SOURCE,
) -> EmailMessage:
    """The mail ``kind`` (``templates/<language>/<kind>.txt`` and ``.html``) to one address.

    The subject is the variable ``subject`` of the text template. Values that are messages are
    translated; line breaks and other control characters in values become spaces. ValueError where
    the recipient is no single address.
    """
    said = {name: translated(value, language) for name, value in values.items()}
    shown = {name: _CONTROL.sub(" ", value) for name, value in said.items()}
    text = _templates().get_template(f"{language}/{kind}.txt").make_module(shown)
    html = _templates().get_template(f"{language}/{kind}.html").render(shown)
    message = EmailMessage(policy=POLICY)
    message["From"] = sender
    # No display name: whoever registers a stranger's address would choose what it says.
    message["To"] = _address(recipient)
    message["Subject"] = str(vars(text)["subject"])
    message["Date"] = now
    domain = message["From"].addresses[0].domain or "localhost"
    message["Message-ID"] = f"<{kind}.{new_id()}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(str(text).lstrip("\n"))
    message.add_alternative(html, subtype="html")
    # Last: the two above take such headers away.
    message["Content-Language"] = language
    return message


def language_for(setting: str | None, asked: str) -> str:
    """The language of a mail: what its recipient has set, else that of the request behind it."""
    return setting if setting in LANGUAGES else asked


def duration(seconds: int) -> Message:
    """How long something lives: in days or hours where these are two or more and leave no rest,
    else in minutes, begun ones not counted."""
    if seconds >= 2 * DAY and seconds % DAY == 0:
        return ngettext("{n} day", "{n} days", seconds // DAY)
    if seconds >= 2 * HOUR and seconds % HOUR == 0:
        return ngettext("{n} hour", "{n} hours", seconds // HOUR)
    return ngettext("{n} minute", "{n} minutes", seconds // MINUTE)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _address(recipient: str) -> Address:
    # The standard library's parser raises IndexError where it expects more to come.
    try:
        if not _CONTROL.search(recipient):
            return Address(addr_spec=recipient)
    except (IndexError, MessageError):
        pass
    raise ValueError("the recipient is no single e-mail address")
