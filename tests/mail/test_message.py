"""What a mail says, and that nobody else can make it say more."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from jinja2 import Environment, meta

from bugtracker.clock import utc_now
from bugtracker.jobs.tasks import JOBS
from bugtracker.mail.message import TEMPLATES, compose, duration
from bugtracker.messages import LANGUAGES, SOURCE

LINK = "https://tracker.example/links/#action=verify-email&token=abc"
VALUES = {
    "username": "ada",
    "base_url": "https://tracker.example",
    "endpoint": "https://tracker.example/api/auth/verify-email",
    "lifetime": duration(86400),
    "link": LINK,
    "token": "abc",
    "change": "enabled",
    "left": "9",
    "device": "Firefox on Linux",
    "ip": "198.51.100.7",
    "time": "2026-11-20 14:31 UTC",
    "sender": "ada",
    "organisation": "Analytical Engines",
    "person": "grace",
    "role": "developer",
    "description": "Chat room of the watch",
    "reason": "failing",
}
# Those that the jobs which erase people send.
FAREWELLS = ["account_deleted", "deletion_approved"]
# Sent in the place of what was asked for.
INSTEAD = ["account_disabled"]
KINDS = sorted([*FAREWELLS, *INSTEAD, *(name[5:] for name in JOBS if name.startswith("mail."))])
HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "content-language",
    "auto-submitted",
    "mime-version",
    "content-type",
}


def mail(
    recipient: str = "ada@example.com",
    kind: str = "verify_email",
    language: str = SOURCE,
    **different: str,
) -> EmailMessage:
    message = compose(
        kind,
        sender="Bugtracker <noreply@tracker.example>",
        recipient=recipient,
        now=utc_now(),
        values={**VALUES, **different},
        language=language,
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


def variables(template: str) -> set[str]:
    """What the rest of the program must give a template, such as ``en/magic_link.txt``."""
    source = (TEMPLATES / template).read_text(encoding="utf-8")
    return meta.find_undeclared_variables(Environment(autoescape=True).parse(source))


class TestTemplates:
    """Each mail exists in every language, and needs no more in one than in another."""

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_there_are_text_and_html_of_every_mail_and_nothing_else(self, language: str) -> None:
        wanted = {f"{kind}.{ending}" for kind in KINDS for ending in ("txt", "html")}
        assert {path.name for path in (TEMPLATES / language).iterdir()} == wanted

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_needs_the_variables_of_the_default_language(self, language: str, kind: str) -> None:
        needed = {ending: variables(f"{language}/{kind}{ending}") for ending in (".txt", ".html")}
        for ending, names in needed.items():
            assert names == variables(f"{SOURCE}/{kind}{ending}")
        # Commands to type are in the text only.
        typed = {"endpoint", "token"}
        assert needed[".txt"] - typed <= needed[".html"] <= needed[".txt"]

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_names_the_account_and_the_service_and_keeps_the_link(
        self, language: str, kind: str
    ) -> None:
        message = mail(kind=kind, language=language)
        for form in ("plain", "html"):
            assert "ada" in part(message, form)
            assert "https://tracker.example" in part(message, form)
        assert message["Content-Language"] == language
        assert f'<html lang="{language}">' in part(message, "html")
        if "link" in variables(f"{SOURCE}/{kind}.txt"):
            assert LINK in part(message, "plain").splitlines()
            assert f'<a href="{LINK.replace("&", "&amp;")}">' in part(message, "html")

    @pytest.mark.parametrize("kind", KINDS)
    def test_has_another_subject_in_each_language(self, kind: str) -> None:
        subjects = {str(mail(kind=kind, language=each)["Subject"]) for each in LANGUAGES}
        assert len(subjects) == len(LANGUAGES)
        assert all(subjects)

    @pytest.mark.parametrize(
        ("seconds", "language", "said"),
        [(7 * 86400, "en", "7 days"), (86400, "en", "24 hours"), (3600, "en", "60 minutes"),
         (89, "en", "1 minute"), (9000, "en", "150 minutes"), (604800, "de", "7 Tage"),
         (86400, "hi", "24 घंटे"), (60, "de", "1 Minute")],
    )  # fmt: skip
    def test_how_long_a_link_lives_is_said_in_words(
        self, seconds: int, language: str, said: str
    ) -> None:
        assert duration(seconds).in_language(language) == said


class TestInjection:
    @pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00"])
    def test_a_name_adds_neither_header_nor_line(self, line_break: str) -> None:
        message = mail(username=f"ada{line_break}Bcc: eve@example.com{line_break}{line_break}Hi")
        assert {name.lower() for name in message} == HEADERS
        assert "username ada Bcc: eve@example.com Hi with" in part(message, "plain")

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_no_kind_of_mail_lets_a_name_in_between(self, kind: str, language: str) -> None:
        hostile = "x\r\nBcc: eve@example.com\r\n\r\n<b>Hi</b>"
        names = ("username", "device", "sender", "organisation", "person", "description", "reason")
        message = mail(kind=kind, language=language, **dict.fromkeys(names, hostile))
        assert {header.lower() for header in message} == HEADERS
        assert message["To"] == "ada@example.com"
        assert not any(line.startswith("Bcc") for line in part(message, "plain").splitlines())
        assert "<b>" not in part(message, "html")

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
