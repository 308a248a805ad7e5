"""Fifty at once around the second factor: a code counts once, and nobody slips in beside it."""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import func, select

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.models import Account, BackupCode, Session
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import employee, events_of
from tests.conformance import Conformance
from tests.parallel import Call, at_once
from tests.registering import get_me
from tests.serving import serve
from tests.world import Org, World

TIMES = 50


@pytest.fixture(scope="module")
def crowded(settings: Settings, contract: Contract) -> Iterator[World]:
    """A server that lets all its handler threads hash at once, and everybody try often."""
    update = {"hashing_threads": settings.threads, "lockout_attempts": 10_000}
    runtime = create_runtime(settings.model_copy(update=update))
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    runtime.db.close()


@pytest.fixture
def org(crowded: World) -> Org:
    return crowded.create_org()


@pytest.fixture
def app(crowded: World, org: Org) -> Authenticator:
    settings = crowded.runtime.settings
    return Authenticator(crowded.runtime, employee(crowded, org, crowded.client(), settings))


@pytest.fixture
def on(app: Authenticator) -> Authenticator:
    return app.switched_on()


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


def completing(on: Authenticator, challenge: str, code: str) -> Call:
    return lambda: on.complete(challenge, code)


def live_sessions(app: Authenticator) -> int:
    living = select(func.count()).join_from(Session, Account, Account.id == Session.account_id)
    own = living.where(Account.email == app.person.email, Session.revoked_at.is_(None))
    with app.runtime.db.transaction() as session:
        return session.scalar(own) or 0


class TestCodes:
    def test_one_code_starts_one_session_however_many_logins_wait(self, on: Authenticator) -> None:
        challenges = [on.challenge() for _ in range(TIMES)]
        code, before = on.fresh_code, live_sessions(on)
        responses = at_once([completing(on, challenge, code) for challenge in challenges])
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        assert live_sessions(on) == before + 1

    def test_one_challenge_starts_one_session(self, on: Authenticator) -> None:
        challenge, code = on.challenge(), on.fresh_code
        responses = at_once([completing(on, challenge, code)] * TIMES)
        assert statuses(responses) == {200: 1, 401: TIMES - 1}

    def test_one_challenge_starts_one_session_with_ten_codes(self, on: Authenticator) -> None:
        challenge = on.challenge()
        responses = at_once([completing(on, challenge, code) for code in on.backup_codes])
        assert statuses(responses) == {200: 1, 401: len(on.backup_codes) - 1}

    def test_one_backup_code_starts_one_session(self, on: Authenticator) -> None:
        challenges = [on.challenge() for _ in range(TIMES)]
        code = on.backup_codes[0]
        responses = at_once([completing(on, challenge, code) for challenge in challenges])
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        assert on.state()["backup_codes_left"] == 9


class TestSwitching:
    def test_one_confirmation_counts(self, org: Org, app: Authenticator) -> None:
        app.enrol()
        code = app.code
        responses = at_once([lambda: app.confirm(code)] * TIMES)
        assert statuses(responses) == {200: 1, 409: TIMES - 1}
        with app.runtime.db.transaction() as session:
            own = select(func.count()).join_from(BackupCode, Account)
            assert session.scalar(own.where(Account.email == app.person.email)) == 10
        assert len(events_of(app.runtime, org, "two_factor.enabled")) == 1

    def test_one_switches_it_off(self, org: Org, on: Authenticator) -> None:
        proof = on.proof(code=on.backup_codes[0])
        responses = at_once([lambda: on.call("POST", "/disable", proof)] * TIMES)
        assert statuses(responses)[204] == 1
        assert set(statuses(responses)) <= {204, 409, 422}
        assert len(events_of(on.runtime, org, "two_factor.disabled")) == 1

    def test_no_login_by_password_alone_outlives_the_confirmation(self, app: Authenticator) -> None:
        """Whoever logs in at that moment is logged out by it, or needs a code."""
        for _ in range(3):
            app.enrol()
            code = app.code
            calls: list[Call] = [app.person.login] * (TIMES - 1)
            responses = at_once([*calls, lambda code=code: app.confirm(code)])  # type: ignore[misc]
            assert responses[-1].status_code == 200
            assert set(statuses(responses)) <= {200, 202}
            assert live_sessions(app) == 1
            assert get_me(app.http, app.access).status_code == 200
            assert app.disable(code=app.backup_codes[0]).status_code == 204


class TestGuessing:
    def test_five_of_a_hundred_wrong_codes_are_evaluated(
        self, world: World, settings: Settings
    ) -> None:
        """By a server with the usual limit of 20, of which a code takes four."""
        org = world.create_org()
        person = employee(world, org, world.client(), settings)
        on = Authenticator(world.runtime, person).switched_on()
        challenge, wrong = on.challenge(), on.wrong_code
        responses = at_once([completing(on, challenge, wrong)] * 2 * TIMES)
        assert statuses(responses) == {401: 2 * TIMES}
        assert len(events_of(world.runtime, org, "login.failed")) == 5
        assert len(events_of(world.runtime, org, "account.locked")) == 1
        assert on.complete(challenge, on.fresh_code).status_code == 401
