"""Asking for another verification mail."""

from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, OneTimeToken
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import change_account, employee
from tests.conformance import Conformance
from tests.jobs.running import eventually
from tests.parallel import at_once
from tests.registering import Newcomer, answer, newcomer, text_of
from tests.serving import serve
from tests.world import World

TIMES = 50


@pytest.fixture
def person(anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return newcomer(anonymous, settings)


def live_tokens(runtime: Runtime, person: Newcomer) -> int:
    with runtime.db.transaction() as session:
        account = select(Account.id).where(Account.email == person.email).scalar_subquery()
        wanted = (OneTimeToken.account_id == account, OneTimeToken.used_at.is_(None))
        return session.scalar(select(func.count()).where(*wanted)) or 0


class TestResendVerification:
    def test_mails_a_new_link_and_ends_the_older_one(
        self, worker: WorkerThread, person: Newcomer
    ) -> None:
        old = person.registered().token()
        assert person.resend(email=person.email.upper()).status_code == 202
        new = person.token(2)
        assert person.verify(old).status_code == 422
        assert person.verify(new).status_code == 200

    def test_tells_a_verified_address_that_it_is_known(
        self, worker: WorkerThread, person: Newcomer
    ) -> None:
        person.verified().resend()
        assert person.mail(2)["subject"] == "You already have an account"
        assert person.username in text_of(person.mail(2))

    def test_answers_everybody_alike(
        self, world: World, worker: WorkerThread, person: Newcomer, settings: Settings
    ) -> None:
        unverified = newcomer(person.http, settings).registered()
        known = employee(world, world.create_org(), person.http, settings)
        # The headers tell of the nearest limit: let it be that of the client's address each time.
        for _ in range(3):
            newcomer(person.http, settings).resend()
        answers = [answer(each.resend()) for each in (person, unverified, known)]
        assert answers[0][0] == 202
        assert answers[0] == answers[1] == answers[2]

    def test_mails_nothing_to_strangers_and_the_disabled(
        self, worker: WorkerThread, runtime: Runtime, person: Newcomer, settings: Settings
    ) -> None:
        disabled = newcomer(person.http, settings).registered()
        disabled.mail()
        change_account(runtime, disabled, is_active=False)
        for silent in (person, disabled):
            assert silent.resend().status_code == 202
        # Whoever asked later has the mail, so the others had their turn.
        last = newcomer(person.http, settings).registered()
        last.mail()
        assert (len(person._mails()), len(disabled._mails())) == (0, 1)

    def test_has_the_limit_of_logins(self, settings: Settings, contract: Contract) -> None:
        strict = create_runtime(settings.model_copy(update={"rate_limit_login": "1/hour"}))
        with serve(create_app(strict, contract)) as server, httpx.Client(verify=False) as http:
            url = f"{server.url}/api/auth/verify-email/resend"
            statuses = [http.post(url, json={"email": "a@b.example"}).status_code for _ in "12"]
        strict.db.close()
        assert statuses == [202, 429]


class TestParallel:
    def test_of_many_mails_one_link_lives(
        self, worker: WorkerThread, runtime: Runtime, person: Newcomer
    ) -> None:
        person.registered().mail()
        assert {r.status_code for r in at_once([person.resend] * TIMES)} == {202}
        last = newcomer(person.http, runtime.settings).registered()
        last.mail()
        assert live_tokens(runtime, person) == 1
        # Jobs run side by side: the mail of the link that lives need not be the last one.
        eventually(lambda: 200 in self._answers(person))
        assert 200 not in self._answers(person)

    def _answers(self, person: Newcomer) -> list[int]:
        """What becomes of each link that was mailed."""
        tokens = [person.token(number + 1) for number in range(len(person._mails()))]
        return [person.verify(token).status_code for token in tokens]

    @pytest.fixture
    def quiet(
        self, cluster: Cluster, own_database: str, settings: Settings, contract: Contract
    ) -> Iterator[World]:
        """A server without a worker."""
        url = SecretStr(cluster.api_url(own_database))
        runtime = create_runtime(settings.model_copy(update={"database_url": url}))
        with serve(create_app(runtime, contract)) as server:
            world = World(runtime, server.url, Conformance(contract))
            yield world
            world.close()
        runtime.db.close()

    def test_one_mail_waits_however_often_somebody_asks(self, quiet: World) -> None:
        known = employee(quiet, quiet.create_org(), quiet.client(), quiet.runtime.settings)
        stranger = newcomer(known.http, quiet.runtime.settings)
        for person in (known, stranger):
            asked = [partial(person.resend) for _ in range(TIMES)]
            assert {response.status_code for response in at_once(asked)} == {202}
        with quiet.runtime.db.read() as connection:
            waiting = text("SELECT task_name FROM procrastinate_jobs ORDER BY task_name")
            tasks = [task for task in connection.scalars(waiting) if task.startswith("mail.")]
        assert tasks == ["mail.address_known", "mail.verify_email"]
