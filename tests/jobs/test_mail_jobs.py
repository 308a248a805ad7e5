"""From a deferred job to a mail that arrived."""

import logging
import re
from email.message import EmailMessage
from uuid import UUID

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.logs import configure_logging
from bugtracker.mail import jobs as mail_jobs
from bugtracker.models import Account, OneTimeToken
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from tests.mail.sink import Sink

from .running import account, eventually, execute, jobs, working

VERIFY = "mail.verify_email"


def register(runtime: Runtime, task: str = VERIFY, **different: object) -> Account:
    person = account(**different)
    with runtime.db.transaction() as session:
        session.add(person)
        runtime.queue.defer(session, task, account_id=person.id)
    return person


def token_in(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"^http\S+/links/#action=verify-email&token=(\S+)$", body.get_content(), re.M)
    assert found is not None
    return found[1]


def tokens(runtime: Runtime, account_id: UUID) -> list[OneTimeToken]:
    """The account's tokens, oldest first."""
    query = select(OneTimeToken).where(OneTimeToken.account_id == account_id)
    with runtime.db.transaction() as session:
        return list(session.scalars(query.order_by(OneTimeToken.created_at)))


class TestVerifyEmail:
    def test_mails_a_token_of_which_only_the_hash_is_kept(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        person = register(runtime)
        with working(runtime):
            mail = sink.wait_for_mail()
            eventually(lambda: jobs(runtime) == [(VERIFY, "succeeded", 1)])
        (token,) = tokens(runtime, person.id)
        assert sink.envelopes[0].rcpt_tos == ["ada@example.com"]
        assert token.token_hash == token_hash(token_in(mail))
        assert (token.purpose, token.used_at) == ("verify_email", None)
        lifetime = (token.expires_at - token.created_at).total_seconds()
        assert lifetime == runtime.settings.verification_token_seconds

    def test_another_mail_ends_the_links_before_it(self, runtime: Runtime, sink: Sink) -> None:
        person = register(runtime)
        mail_jobs.verify_email(runtime, str(person.id))
        mail_jobs.verify_email(runtime, str(person.id))
        first, second = tokens(runtime, person.id)
        assert first.token_hash == token_hash(token_in(sink.mails[0]))
        assert first.used_at is not None
        assert second.token_hash == token_hash(token_in(sink.mails[1]))
        assert second.used_at is None

    @pytest.mark.parametrize("different", [{"verified_at": utc_now()}, {"is_active": False}])
    def test_the_verified_and_the_disabled_get_nothing(
        self, runtime: Runtime, sink: Sink, different: dict[str, object]
    ) -> None:
        person = register(runtime, **different)
        mail_jobs.verify_email(runtime, str(person.id))
        assert sink.conversations == 0
        assert tokens(runtime, person.id) == []

    def test_a_missing_account_gets_nothing(self, runtime: Runtime, sink: Sink) -> None:
        mail_jobs.verify_email(runtime, str(new_id()))
        assert sink.conversations == 0

    def test_is_tried_again_with_a_new_token(self, runtime: Runtime, sink: Sink) -> None:
        sink.refusal = "451 try later"
        person = register(runtime)
        with working(runtime):
            eventually(lambda: jobs(runtime) == [(VERIFY, "todo", 1)])
            sink.refusal = None
            execute(runtime, "UPDATE procrastinate_jobs SET scheduled_at = now()")
            mail = sink.wait_for_mail()
            eventually(lambda: jobs(runtime) == [(VERIFY, "succeeded", 2)])
        first, second = tokens(runtime, person.id)
        assert first.used_at is not None
        assert second.token_hash == token_hash(token_in(mail))

    def test_a_recipient_refused_for_good_is_not_tried_again(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        sink.recipient_refusal = "550 no such person"
        register(runtime)
        with working(runtime):
            eventually(lambda: jobs(runtime) == [(VERIFY, "failed", 1)])

    def test_the_token_is_neither_logged_nor_queued(
        self, runtime: Runtime, sink: Sink, caplog: pytest.LogCaptureFixture
    ) -> None:
        quiet = runtime.settings
        configure_logging(quiet.model_copy(update={"log_level": "DEBUG"}))
        # Configuring takes pytest's handler away.
        logging.getLogger().addHandler(caplog.handler)
        for logger in ("", "procrastinate"):
            caplog.set_level("DEBUG", logger)
        register(runtime)
        with capture_logs() as lines, working(runtime):
            token = token_in(sink.wait_for_mail())
            eventually(lambda: jobs(runtime) == [(VERIFY, "succeeded", 1)])
        configure_logging(quiet)
        with runtime.db.read() as connection:
            rows = connection.exec_driver_sql("SELECT j::text FROM procrastinate_jobs j")
            queued = "".join(rows.scalars())
        # The server of the test, whose logger is this one, shows whole conversations.
        records = [vars(record) for record in caplog.records if record.name != "mail.log"]
        told = f"{lines} {records}"
        assert "procrastinate.worker" in told
        assert "mail_sent" in told
        assert VERIFY in queued
        assert token not in told + queued


class TestAddressKnown:
    def test_names_the_account_and_has_no_token(self, runtime: Runtime, sink: Sink) -> None:
        person = register(runtime, "mail.address_known", verified_at=utc_now())
        with working(runtime):
            mail = sink.wait_for_mail()
        assert "its username is ada." in str(mail)
        assert "token" not in str(mail)
        assert tokens(runtime, person.id) == []
