"""The mails about passwords: who gets which, and what they say."""

import re

import pytest

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.mail import jobs as mail_jobs
from bugtracker.models import Account
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from tests.mail.sink import Sink

from .running import account
from .test_mail_jobs import tokens


def stored(runtime: Runtime, **different: object) -> Account:
    person = account(**{"verified_at": utc_now(), **different})
    with runtime.db.transaction() as session:
        session.add(person)
    return person


def token_in(sink: Sink, number: int) -> str:
    body = sink.mails[number].get_body(("plain",))
    assert body is not None
    link = r"^http\S+/links/#action=reset-password&token=(\S+)$"
    found = re.search(link, body.get_content(), re.M)
    assert found is not None
    return found[1]


class TestResetPassword:
    def test_mails_a_token_of_its_own_lifetime_and_ends_earlier_ones(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        person = stored(runtime)
        for _ in range(2):
            mail_jobs.reset_password(runtime, str(person.id))
        first, second = tokens(runtime, person.id)
        assert first.token_hash == token_hash(token_in(sink, 0))
        assert first.used_at is not None
        assert second.token_hash == token_hash(token_in(sink, 1))
        assert (second.purpose, second.used_at) == ("reset_password", None)
        lifetime = (second.expires_at - second.created_at).total_seconds()
        assert lifetime == runtime.settings.reset_token_seconds == 3600
        assert "for 60 minutes" in str(sink.mails[1])

    def test_leaves_tokens_for_other_purposes_alone(self, runtime: Runtime, sink: Sink) -> None:
        person = stored(runtime, verified_at=None)
        mail_jobs.verify_email(runtime, str(person.id))
        with runtime.db.transaction() as session:
            session.merge(person).verified_at = utc_now()
        mail_jobs.reset_password(runtime, str(person.id))
        assert [token.used_at for token in tokens(runtime, person.id)] == [None, None]

    @pytest.mark.parametrize("different", [{"verified_at": None}, {"is_active": False}])
    def test_the_unverified_and_the_disabled_get_nothing(
        self, runtime: Runtime, sink: Sink, different: dict[str, object]
    ) -> None:
        person = stored(runtime, **different)
        mail_jobs.reset_password(runtime, str(person.id))
        assert sink.conversations == 0
        assert tokens(runtime, person.id) == []

    def test_a_missing_account_gets_nothing(self, runtime: Runtime, sink: Sink) -> None:
        mail_jobs.reset_password(runtime, str(new_id()))
        assert sink.conversations == 0


class TestPasswordChanged:
    def test_says_so_and_has_no_token(self, runtime: Runtime, sink: Sink) -> None:
        person = stored(runtime)
        mail_jobs.password_changed(runtime, str(person.id))
        assert "has a new password" in str(sink.mails[0])
        assert "/api/auth/password/forgot" in str(sink.mails[0])
        assert tokens(runtime, person.id) == []
