"""Mails on their way: through SMTP, or into files."""

import stat
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from smtplib import SMTPNotSupportedError

import pytest

from bugtracker.clock import utc_now
from bugtracker.mail.message import compose
from bugtracker.mail.sending import send_mail
from bugtracker.settings import Settings

from .sink import Sink


@pytest.fixture
def message() -> EmailMessage:
    return compose(
        "address_known",
        sender="Bugtracker <noreply@tracker.example>",
        recipient="ada@example.com",
        now=utc_now(),
        values={"username": "ada", "base_url": "https://tracker.example"},
    )


def over_smtp(port: int, **different: object) -> Settings:
    return Settings(smtp_host="127.0.0.1", smtp_port=port, **different)  # type: ignore[arg-type]


class TestSmtp:
    def test_arrives_as_it_was(self, sink: Sink, message: EmailMessage) -> None:
        send_mail(over_smtp(sink.port), message)
        assert sink.envelopes[0].mail_from == "noreply@tracker.example"
        assert sink.envelopes[0].rcpt_tos == ["ada@example.com"]
        assert sink.mails[0]["Message-ID"] == message["Message-ID"]
        body = sink.mails[0].get_body(("plain",))
        assert body is not None
        assert "its username is ada." in body.get_content()

    def test_a_refusal_is_an_error(self, sink: Sink, message: EmailMessage) -> None:
        sink.refusal = "554 no"
        with pytest.raises(OSError, match="554"):
            send_mail(over_smtp(sink.port), message)

    def test_a_server_that_is_away_is_an_error(self, sink: Sink, message: EmailMessage) -> None:
        with pytest.raises(ConnectionRefusedError):
            send_mail(over_smtp(1), message)

    @pytest.mark.parametrize(
        "different",
        [{"smtp_starttls": True}, {"smtp_username": "bugtracker", "smtp_password": "secret"}],
    )
    def test_goes_nowhere_without_the_protection_asked_for(
        self, sink: Sink, message: EmailMessage, different: dict[str, object]
    ) -> None:
        with pytest.raises(SMTPNotSupportedError):
            send_mail(over_smtp(sink.port, **different), message)
        assert sink.mails == []


class TestFile:
    def test_is_readable_by_its_owner_only_and_complete(
        self, tmp_path: Path, message: EmailMessage
    ) -> None:
        settings = Settings(local_dir=tmp_path)
        send_mail(settings, message)
        (path,) = settings.mail_dir.iterdir()
        kind_and_id = message["Message-ID"].strip("<>").split("@")[0].replace(".", "-")
        stamp, _, rest = path.name.partition("-")
        assert rest == f"{kind_and_id}.eml"
        assert stamp.startswith(f"{utc_now():%Y%m%dT}")
        assert stamp.endswith("Z")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(settings.mail_dir.stat().st_mode) == 0o700
        parsed = message_from_bytes(path.read_bytes(), policy=default)
        assert parsed["To"] == "ada@example.com"

    def test_files_sort_in_the_order_of_sending(
        self, tmp_path: Path, message: EmailMessage
    ) -> None:
        settings = Settings(local_dir=tmp_path)
        for number in range(5):
            message.replace_header("Subject", f"mail {number}")
            send_mail(settings, message)
        paths = sorted(settings.mail_dir.iterdir())
        subjects = [message_from_bytes(path.read_bytes())["Subject"] for path in paths]
        assert subjects == [f"mail {number}" for number in range(5)]

    def test_a_directory_that_cannot_be_made_is_an_error(
        self, tmp_path: Path, message: EmailMessage
    ) -> None:
        (tmp_path / "mail").write_text("a file in its place")
        with pytest.raises(OSError, match="mail"):
            send_mail(Settings(local_dir=tmp_path), message)
