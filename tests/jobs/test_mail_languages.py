"""Mails are in the language their reader has set, else in that of the request behind them."""

from collections.abc import Callable
from inspect import signature

import pytest

from bugtracker.jobs.tasks import JOBS
from bugtracker.mail import jobs as mail_jobs
from bugtracker.messages import SOURCE
from bugtracker.runtime import Runtime
from bugtracker.serializers.sessions import device
from tests.jobs.test_account_mails import signed_in, stored, text_of
from tests.mail.sink import Sink

SUBJECTS = {
    "en": "A new sign-in to your account",
    "de": "Neue Anmeldung bei Ihrem Konto",
    "hi": "आपके खाते में नया लॉग इन",
}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0"


def languages(sink: Sink) -> list[str]:
    return [mail["Content-Language"] for mail in sink.mails]


class TestLanguage:
    @pytest.mark.parametrize(
        ("setting", "asked", "language"),
        [(None, None, "en"), (None, "de", "de"), ("hi", "de", "hi"), ("en", "hi", "en"),
         ("de", None, "de"), ("xx", "hi", "hi")],
    )  # fmt: skip
    def test_of_the_reader_comes_before_that_of_the_request(
        self, runtime: Runtime, sink: Sink, setting: str | None, asked: str | None, language: str
    ) -> None:
        person = stored(runtime, language=setting)
        login = signed_in(runtime, person, user_agent=FIREFOX, ip=None)
        # Jobs of a version before, in the queue while this one starts, know no language.
        mail_jobs.new_sign_in(runtime, login, *([] if asked is None else [asked]))
        (mail,) = sink.mails
        assert (mail["Content-Language"], mail["Subject"]) == (language, SUBJECTS[language])
        for form in ("plain", "html"):
            assert device(FIREFOX).in_language(language) in text_of(mail, form)  # type: ignore[attr-defined]

    def test_every_mail_to_an_account_has_it(self, runtime: Runtime, sink: Sink) -> None:
        german = str(stored(runtime, language="de").id)
        fresh = {"username": "fresh", "email": "fresh@example.com", "verified_at": None}
        waiting = str(stored(runtime, **fresh).id)
        by_account: dict[str, Callable[[], None]] = {
            name: lambda job=job: job(runtime, german, language="hi")  # type: ignore[misc]
            for name, job in JOBS.items()
            if name.startswith("mail.") and name != VERIFY and parameters(name) == OF_ACCOUNT
        }
        for send in by_account.values():
            send()
        mail_jobs.two_factor_changed(runtime, german, "disabled", "hi")
        mail_jobs.verify_email(runtime, waiting, "hi")
        assert languages(sink) == [*["de"] * (len(by_account) + 1), "hi"]

    def test_is_the_last_that_every_job_is_told_and_may_be_missing(self) -> None:
        """Those that send a mail, and those that have another send it."""
        announcing = {"export.build", "deletion.announce", "account.announce"}
        for name in announcing | {name for name in JOBS if name.startswith("mail.")}:
            assert parameters(name)[-1] == "language", name
            assert signature(JOBS[name]).parameters["language"].default == SOURCE, name


VERIFY = "mail.verify_email"
OF_ACCOUNT = ["runtime", "account_id", "language"]


def parameters(job: str) -> list[str]:
    return list(signature(JOBS[job]).parameters)
