"""The second factor: a code counts once, guessing is limited, and nobody slips in beside it."""

import httpx
import pytest
from sqlalchemy import func, select

from bugtracker.contract import Contract
from bugtracker.models import Account, BackupCode
from bugtracker.settings import Settings
from tests.authenticator import TWO_FACTOR, Authenticator
from tests.behind import events_of
from tests.proofs.crowd import Crowd, crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.test_sessions import bearer, live_sessions
from tests.registering import Newcomer, get_me
from tests.world import Org

TIMES = SIZE.requests
GUESSES, MOST = 100, 5
"""In both forms. The limit is 20, of which a code takes four."""


@pytest.fixture
def app(crowded: Crowd, person: Newcomer) -> Authenticator:
    """The person's authenticator, not enrolled yet."""
    return Authenticator(crowded.runtime, person)


@pytest.fixture
def on(app: Authenticator) -> Authenticator:
    """The person's authenticator, in force."""
    return app.switched_on()


def backup_codes_of(crowded: Crowd, person: Newcomer) -> int:
    own = select(func.count()).join_from(BackupCode, Account)
    with crowded.runtime.db.transaction() as session:
        return session.scalar(own.where(Account.email == person.email)) or 0


class TestCodes:
    def test_a_code_starts_one_session(
        self, crowded: Crowd, on: Authenticator, report: Report
    ) -> None:
        """However many logins wait for it, one code of the authenticator completes one of them,
        and no other after it."""
        challenges = [on.challenge() for _ in range(TIMES)]
        code, before = on.fresh_code, live_sessions(crowded, on.person)
        responses = crowded.at_once(lambda http, n: on.complete(challenges[n], code, http))
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        assert on.complete(on.challenge(), code).status_code == 401
        assert live_sessions(crowded, on.person) == before + 1
        report(logins=TIMES, completed=1, refused=TIMES - 1)

    def test_a_challenge_starts_one_session(
        self, crowded: Crowd, on: Authenticator, report: Report
    ) -> None:
        """However many bring its code, one challenge starts one session."""
        challenge, code = on.challenge(), on.fresh_code
        responses = crowded.at_once(lambda http, _: on.complete(challenge, code, http))
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        report(requests=TIMES, completed=1, refused=TIMES - 1)

    def test_a_challenge_starts_one_session_with_ten_codes(
        self, crowded: Crowd, on: Authenticator, report: Report
    ) -> None:
        """One challenge starts one session, also when each request brings another good code."""
        challenge, codes = on.challenge(), on.backup_codes
        before = live_sessions(crowded, on.person)
        responses = crowded.at_once(
            lambda http, n: on.complete(challenge, codes[n], http), len(codes)
        )
        assert statuses(responses) == {200: 1, 401: len(codes) - 1}
        assert live_sessions(crowded, on.person) == before + 1
        # The challenge was gone for the others, so their codes are still good.
        assert on.state()["backup_codes_left"] == len(codes) - 1
        report(requests=len(codes), completed=1, refused=len(codes) - 1)

    def test_a_backup_code_starts_one_session(
        self, crowded: Crowd, on: Authenticator, report: Report
    ) -> None:
        """However many logins wait for it, one backup code completes one of them and is used up."""
        challenges = [on.challenge() for _ in range(TIMES)]
        code = on.backup_codes[0]
        responses = crowded.at_once(lambda http, n: on.complete(challenges[n], code, http))
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        left = on.state()["backup_codes_left"]
        assert left == len(on.backup_codes) - 1
        report(logins=TIMES, completed=1, refused=TIMES - 1, codes_left=left)


class TestSwitching:
    def test_one_confirmation_counts(
        self, crowded: Crowd, crew: Org, app: Authenticator, report: Report
    ) -> None:
        """Of many confirmations of one enrolment one puts it in force, with its ten backup codes
        and one event."""
        app.enrol()
        body, headers = {"code": app.code}, bearer(app.access)
        responses = crowded.at_once(
            lambda http, _: http.post(f"{TWO_FACTOR}/confirm", json=body, headers=headers)
        )
        assert statuses(responses) == {200: 1, 409: TIMES - 1}
        codes = backup_codes_of(crowded, app.person)
        events = len(events_of(crowded.runtime, crew, "two_factor.enabled"))
        assert (codes, events) == (10, 1)
        report(requests=TIMES, confirmed=1, backup_codes=codes, events=events)

    def test_one_switches_it_off(
        self, crowded: Crowd, crew: Org, on: Authenticator, report: Report
    ) -> None:
        """Of many requests that switch it off with one code one does, with one event."""
        body, headers = on.proof(code=on.backup_codes[0]), bearer(on.access)
        responses = crowded.at_once(
            lambda http, _: http.post(f"{TWO_FACTOR}/disable", json=body, headers=headers)
        )
        assert statuses(responses)[204] == 1
        assert set(statuses(responses)) <= {204, 409, 422}
        events = len(events_of(crowded.runtime, crew, "two_factor.disabled"))
        assert events == 1
        report(requests=TIMES, switched_off=1, refused=TIMES - 1, events=events)

    def test_beside_logins_by_password_alone(
        self, crowded: Crowd, app: Authenticator, report: Report
    ) -> None:
        """Whoever logs in with the password at the moment of the confirmation is logged out by it,
        or needs a code; the session that confirmed lives."""
        app.enrol()
        code, headers = {"code": app.code}, bearer(app.access)
        password = {"email": app.person.email, "password": app.person.password}

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number == TIMES // 2:
                return http.post(f"{TWO_FACTOR}/confirm", json=code, headers=headers)
            return http.post("/api/auth/login", json=password)

        responses = crowded.at_once(act)
        assert responses[TIMES // 2].status_code == 200
        assert set(statuses(responses)) <= {200, 202}
        assert live_sessions(crowded, app.person) == 1
        assert get_me(app.http, app.access).status_code == 200
        report(requests=TIMES, challenged=statuses(responses)[202], sessions_left=1)


class TestGuessing:
    def test_no_more_than_the_limit_are_evaluated(
        self, settings: Settings, contract: Contract, report: Report
    ) -> None:
        """Of 100 wrong codes at once at most 5 are evaluated, one lockout begins, and during it
        the right code is refused like a wrong one."""
        with crowd(settings, contract) as crowded:
            crew = crowded.world.create_org()
            on = Authenticator(crowded.runtime, crowded.employee(crew)).switched_on()
            challenge, wrong = on.challenge(), on.wrong_code
            responses = crowded.at_once(
                lambda http, _: on.complete(challenge, wrong, http), GUESSES
            )
            assert statuses(responses) == {401: GUESSES}
            evaluated = len(events_of(crowded.runtime, crew, "login.failed"))
            lockouts = len(events_of(crowded.runtime, crew, "account.locked"))
            assert (evaluated, lockouts) == (MOST, 1)
            right = on.complete(challenge, on.fresh_code)
            assert (right.status_code, right.json()["code"]) == (401, responses[0].json()["code"])
        report(requests=GUESSES, evaluated=evaluated, lockouts=lockouts)
