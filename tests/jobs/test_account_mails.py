"""The mails about logging in: who gets which, and what they say."""

import re
from email.message import EmailMessage

import pytest

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.mail import jobs as mail_jobs
from bugtracker.models import Account, BackupCode, Session
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from tests.mail.sink import Sink

from .running import account
from .test_mail_jobs import tokens

CHANGES = {
    "enabled": "Two-factor authentication was switched on",
    "disabled": "Two-factor authentication was switched off",
    "backup_codes_regenerated": "Your account has new backup codes",
    "backup_code_used": "A backup code of your account was used",
}
FORMS = ("plain", "html")
SECRET = re.compile(r"token=|[\w-]{40,}")


def stored(runtime: Runtime, **different: object) -> Account:
    person = account(**{"verified_at": utc_now(), **different})
    with runtime.db.transaction() as session:
        session.add(person)
    return person


def signed_in(runtime: Runtime, person: Account, **different: object) -> str:
    """The id of a session of the account."""
    now = utc_now()
    fields = {"ip": "198.51.100.7", "created_at": now, "last_used_at": now, "expires_at": now}
    started = Session(id=new_id(), account_id=person.id, **{**fields, **different})
    with runtime.db.transaction() as session:
        session.add(started)
    return str(started.id)


def text_of(mail: EmailMessage, form: str = "plain") -> str:
    """One of the two forms of a mail, on one line."""
    body = mail.get_body((form,))
    assert body is not None
    return " ".join(body.get_content().split())


class TestMagicLink:
    def test_mails_a_token_of_its_own_lifetime_and_ends_earlier_ones(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        person = stored(runtime)
        for _ in range(2):
            mail_jobs.magic_link(runtime, str(person.id))
        first, second = tokens(runtime, person.id)
        assert sink.envelopes[1].rcpt_tos == ["ada@example.com"]
        assert first.used_at is not None
        assert (second.purpose, second.used_at) == ("magic_link", None)
        found = re.search(r"/links/#action=magic-link&token=(\S+)", text_of(sink.mails[1]))
        assert found is not None
        assert second.token_hash == token_hash(found[1])
        lifetime = (second.expires_at - second.created_at).total_seconds()
        assert lifetime == runtime.settings.magic_link_seconds == 600
        assert "for 10 minutes" in text_of(sink.mails[1])
        assert "for 10 minutes" in text_of(sink.mails[1], "html")

    def test_the_link_leads_to_the_configured_address(self, runtime: Runtime, sink: Sink) -> None:
        settings = runtime.settings
        mail_jobs.magic_link(runtime, str(stored(runtime).id))
        addresses = set(re.findall(r"https?://[^/\s\"]+", str(sink.mails[0])))
        assert addresses == {settings.base_url}

    @pytest.mark.parametrize("different", [{"verified_at": None}, {"is_active": False}])
    def test_the_unverified_and_the_disabled_get_nothing(
        self, runtime: Runtime, sink: Sink, different: dict[str, object]
    ) -> None:
        person = stored(runtime, **different)
        mail_jobs.magic_link(runtime, str(person.id))
        assert sink.conversations == 0
        assert tokens(runtime, person.id) == []

    def test_a_missing_account_gets_nothing(self, runtime: Runtime, sink: Sink) -> None:
        mail_jobs.magic_link(runtime, str(new_id()))
        assert sink.conversations == 0


REMOVED = {"is_active": False, "deactivated_by_removal": True}
LETTERS = {
    "magic_link": mail_jobs.magic_link,
    "reset_password": mail_jobs.reset_password,
    "address_known": mail_jobs.address_known,
}


class TestRemovedByTheLastOrganisation:
    @pytest.mark.parametrize("kind", LETTERS)
    def test_is_told_why_nothing_works_and_gets_no_link(
        self, runtime: Runtime, sink: Sink, kind: str
    ) -> None:
        person = stored(runtime, **REMOVED)
        LETTERS[kind](runtime, str(person.id))
        (mail,) = sink.mails
        assert mail["Subject"] == "Your account is disabled"
        assert sink.envelopes[0].rcpt_tos == ["ada@example.com"]
        for form in FORMS:
            shown = text_of(mail, form)
            for told in ("ada", "the last organisation it was in removed it", "by inviting this"):
                assert told in shown
            assert not SECRET.search(shown)
        assert tokens(runtime, person.id) == []

    @pytest.mark.parametrize("kind", LETTERS)
    def test_nobody_else_is_told(self, runtime: Runtime, sink: Sink, kind: str) -> None:
        unverified = stored(runtime, verified_at=None, **REMOVED)
        operators = stored(runtime, username="eve", email="eve@example.com", is_active=False)
        for account_id in (unverified.id, operators.id, new_id()):
            LETTERS[kind](runtime, str(account_id))
        assert sink.conversations == 0

    def test_is_told_in_their_own_language(self, runtime: Runtime, sink: Sink) -> None:
        mail_jobs.reset_password(runtime, str(stored(runtime, language="de", **REMOVED).id), "hi")
        assert sink.mails[0]["Subject"] == "Ihr Konto ist deaktiviert"


class TestNewSignIn:
    def test_says_device_address_and_time_and_has_no_secret(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        person = stored(runtime)
        user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
        now = utc_now()
        session_id = signed_in(runtime, person, user_agent=user_agent, created_at=now)
        mail_jobs.new_sign_in(runtime, session_id)
        (mail,) = sink.mails
        assert mail["Subject"] == "A new sign-in to your account"
        assert sink.envelopes[0].rcpt_tos == ["ada@example.com"]
        for form in FORMS:
            shown = text_of(mail, form)
            for told in ("ada", "Firefox on Linux", "198.51.100.7", f"{now:%Y-%m-%d %H:%M} UTC"):
                assert told in shown
            assert not SECRET.search(shown)
            assert session_id not in shown
        assert tokens(runtime, person.id) == []

    def test_a_program_without_name_and_address_is_unknown(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        mail_jobs.new_sign_in(runtime, signed_in(runtime, stored(runtime), ip=None))
        assert "Device: Unknown device Address: unknown" in text_of(sink.mails[0])

    @pytest.mark.parametrize("line_break", ["\r\n", "\n", "\x85", "\u2028"])
    def test_a_program_adds_neither_header_line_nor_markup(
        self, runtime: Runtime, sink: Sink, line_break: str
    ) -> None:
        hostile = f"x{line_break}Bcc: eve@example.com{line_break}{line_break}<b>Hi</b>"
        person = stored(runtime)
        mail_jobs.new_sign_in(runtime, signed_in(runtime, person, user_agent=hostile))
        (mail,), (envelope,) = sink.mails, sink.envelopes
        assert envelope.rcpt_tos == ["ada@example.com"]
        assert "Bcc" not in mail
        assert "Device: x Bcc: eve@example.com <b>Hi</b> Address" in text_of(mail)
        body = mail.get_body(("plain",))
        assert body is not None
        assert not any(line.startswith("Bcc") for line in body.get_content().splitlines())
        assert "<b>" not in text_of(mail, "html")

    def test_a_long_name_is_cut(self, runtime: Runtime, sink: Sink) -> None:
        session_id = signed_in(runtime, stored(runtime), user_agent="x" * 400)
        mail_jobs.new_sign_in(runtime, session_id)
        assert f"Device: {'x' * 80} Address" in text_of(sink.mails[0])

    def test_the_disabled_and_missing_sessions_get_nothing(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        disabled = stored(runtime, is_active=False)
        for session_id in (signed_in(runtime, disabled), str(new_id())):
            mail_jobs.new_sign_in(runtime, session_id)
        assert sink.conversations == 0


class TestTwoFactorChanged:
    @pytest.mark.parametrize("change", CHANGES)
    def test_says_what_changed_and_has_no_secret(
        self, runtime: Runtime, sink: Sink, change: str
    ) -> None:
        person = stored(runtime)
        mail_jobs.two_factor_changed(runtime, str(person.id), change)
        (mail,) = sink.mails
        assert mail["Subject"] == CHANGES[change]
        assert sink.envelopes[0].rcpt_tos == ["ada@example.com"]
        for form in FORMS:
            assert "ada" in text_of(mail, form)
            assert "If it was not you" in text_of(mail, form)
            assert not SECRET.search(text_of(mail, form))
        assert tokens(runtime, person.id) == []

    def test_each_change_is_told_in_words_of_its_own(self, runtime: Runtime, sink: Sink) -> None:
        person = stored(runtime)
        for change in CHANGES:
            mail_jobs.two_factor_changed(runtime, str(person.id), change)
        for form in FORMS:
            assert len({text_of(mail, form) for mail in sink.mails}) == len(CHANGES)

    def test_a_used_backup_code_says_how_many_are_left(self, runtime: Runtime, sink: Sink) -> None:
        person, other = stored(runtime), stored(runtime, username="eve", email="eve@example.com")
        codes = [
            BackupCode(account_id=holder.id, code_hash=bytes([number]) * 32, used_at=used)
            for holder, number, used in (
                (person, 1, None),
                (person, 2, None),
                (person, 3, utc_now()),
                (other, 4, None),
            )
        ]
        with runtime.db.transaction() as session:
            session.add_all(codes)
        mail_jobs.two_factor_changed(runtime, str(person.id), "backup_code_used")
        for form in FORMS:
            assert "Codes left: 2." in text_of(sink.mails[0], form)

    def test_the_disabled_and_the_missing_get_nothing(self, runtime: Runtime, sink: Sink) -> None:
        disabled = stored(runtime, is_active=False)
        for account_id in (disabled.id, new_id()):
            mail_jobs.two_factor_changed(runtime, str(account_id), "enabled")
        assert sink.conversations == 0
