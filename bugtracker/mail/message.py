"""Mails made from templates: plain text and HTML, with headers nobody can add to."""

import re
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bugtracker.ids import new_id

TEMPLATES = Path(__file__).parent / "templates"
DEFAULT_LOCALE = "en"

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
    values: dict[str, str],
    locale: str = DEFAULT_LOCALE,
) -> EmailMessage:
    """The mail ``kind`` (``templates/<locale>/<kind>.txt`` and ``.html``) to one address.

    The subject is the variable ``subject`` of the text template. Line breaks and other control
    characters in values become spaces. ValueError where the recipient is no single address.
    """
    shown = {name: _CONTROL.sub(" ", value) for name, value in values.items()}
    text = _templates().get_template(f"{locale}/{kind}.txt").make_module(shown)
    html = _templates().get_template(f"{locale}/{kind}.html").render(shown)
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
    return message


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
