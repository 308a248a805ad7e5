"""What a mail says, and that nobody else can make it say more."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from bugtracker.clock import utc_now
from bugtracker.mail.message import TEMPLATES, compose

LINK = "https://tracker.example/links/#action=verify-email&token=abc"
VALUES = {
    "username": "ada",
    "base_url": "https://tracker.example",
    "endpoint": "https://tracker.example/api/auth/verify-email",
    "hours": "24",
    "minutes": "60",
    "link": LINK,
    "token": "abc",
}
HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "mime-version",
    "content-type",
}


def mail(
    recipient: str = "ada@example.com", kind: str = "verify_email", **different: str
) -> EmailMessage:
    message = compose(
        kind,
        sender="Bugtracker <noreply@tracker.example>",
        recipient=recipient,
        now=utc_now(),
        values={**VALUES, **different},
    )
    return message_from_bytes(message.as_bytes(), policy=default)  # type: ignore[return-value]


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


class TestCompose:
    def test_has_the_headers_of_an_automatic_mail(self) -> None:
        message = mail()
        assert {name.lower() for name in message} == HEADERS
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Subject"] == "Confirm your e-mail address"
        assert message["To"] == "ada@example.com"
        assert message["Message-ID"].endswith("@tracker.example>")
        assert message["Message-ID"] != mail()["Message-ID"]
        assert abs((message["Date"].datetime - utc_now()).total_seconds()) < 5

    def test_the_text_has_name_link_and_token(self) -> None:
        text = part(mail(), "plain")
        assert text.startswith("Hello,")
        assert "username ada with" in text
        assert LINK in text.splitlines()
        assert '{"token": "abc"}' in text

    def test_the_html_has_the_link_escaped(self) -> None:
        html = part(mail(), "html")
        assert '<a href="https://tracker.example/links/#action=verify-email&amp;token=abc">' in html

    def test_the_link_is_not_folded(self) -> None:
        token = "x" * 200
        message = compose(
            "verify_email",
            sender="Bugtracker <noreply@tracker.example>",
            recipient="ada@example.com",
            now=utc_now(),
            values={**VALUES, "link": f"{LINK}{token}"},
        )
        assert f"\r\n{LINK}{token}\r\n".encode() in message.as_bytes()

    def test_names_beyond_ascii_arrive(self) -> None:
        assert "username Zoë 猫 with" in part(mail(username="Zoë 猫"), "plain")

    def test_markup_in_a_name_is_text(self) -> None:
        html = part(mail(username="<script>alert(1)</script>"), "html")
        assert "<script" not in html
        assert "&lt;script&gt;" in html

    @pytest.mark.parametrize("kind", sorted({path.stem for path in (TEMPLATES / "en").iterdir()}))
    def test_each_kind_has_text_and_html(self, kind: str) -> None:
        message = mail(kind=kind)
        assert "ada" in part(message, "plain")
        assert "ada" in part(message, "html")
        assert message["Subject"]


class TestInjection:
    @pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00"])
    def test_a_name_adds_neither_header_nor_line(self, line_break: str) -> None:
        message = mail(username=f"ada{line_break}Bcc: eve@example.com{line_break}{line_break}Hi")
        assert {name.lower() for name in message} == HEADERS
        assert "username ada Bcc: eve@example.com Hi with" in part(message, "plain")

    @pytest.mark.parametrize(
        "recipient",
        [
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example.com\nBcc: eve@example.com",
            "ada@example.com\r\n\r\nHi",
            "ada@example.com, eve@example.com",
            "ada@example.com\x00",
            "Eve <eve@example.com>",
            "ada",
            "",
        ],
    )
    def test_what_is_no_single_address_is_refused(self, recipient: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            mail(recipient)
