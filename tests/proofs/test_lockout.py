"""Guessing passwords: no more are evaluated than the limit, however many are tried at once."""

from collections.abc import Iterator

import httpx
import pytest

from bugtracker.contract import Contract
from bugtracker.settings import Settings
from tests.behind import attempts_of, events_of
from tests.proofs.crowd import Crowd, crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.test_passwords import change
from tests.registering import Newcomer, get_me, newcomer, tokens_of
from tests.world import Org

MOST = 20
TIMES = 100
"""In both forms: it must be far above the limit."""
RIGHT = SIZE.requests


@pytest.fixture(scope="module")
def crowded(settings: Settings, contract: Contract) -> Iterator[Crowd]:
    """Servers with the limit that is the default."""
    assert settings.lockout_attempts == MOST
    with crowd(settings, contract) as crowded:
        yield crowded


def guess(http: httpx.Client, person: Newcomer, number: int) -> httpx.Response:
    body = {"email": person.email, "password": f"Wrong-Words-{number}"}
    return http.post("/api/auth/login", json=body)


def count(crowded: Crowd, org: Org, action: str) -> int:
    return len(events_of(crowded.runtime, org, action))


class TestWrongPasswords:
    def test_no_more_than_the_limit_are_evaluated(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """Of 100 wrong passwords at once at most 20 are evaluated, each with its event, and one
        lockout begins."""
        account_id = person.me()["id"]
        responses = crowded.at_once(lambda http, n: guess(http, person, n), TIMES)
        assert statuses(responses) == {401: TIMES}
        assert attempts_of(crowded.runtime, f"account:{account_id}") == MOST
        # Each evaluation of a wrong password leaves one event.
        evaluated = count(crowded, crew, "login.failed")
        lockouts = count(crowded, crew, "account.locked")
        assert (evaluated, lockouts) == (MOST, 1)
        assert person.login().status_code == 401
        report(requests=TIMES, evaluated=evaluated, lockouts=lockouts)

    def test_at_two_doors_share_one_limit(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """Wrong passwords at the login and at the change of the password, at once, are together no
        more than the limit."""
        access = tokens_of(person.login())["access_token"]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            # A change is checked for its session before, so many more are needed to keep up.
            if number % 4 == 0:
                return guess(http, person, number)
            return change(http, access, f"Wrong-Words-{number}", "Spring-Tide-1")

        responses = crowded.at_once(act, TIMES)
        assert statuses(responses) == {401: TIMES // 4, 422: TIMES // 4 * 3}
        at_login = count(crowded, crew, "login.failed")
        at_change = count(crowded, crew, "password.check_failed")
        assert at_login + at_change == MOST
        assert count(crowded, crew, "account.locked") == 1
        assert get_me(person.http, access).status_code == 200
        report(requests=TIMES, evaluated_at_login=at_login, evaluated_at_change=at_change)

    def test_the_right_one_is_refused_during_the_lockout(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """During the lockout the right password is refused like a wrong one, however many bring
        it."""
        wrong = crowded.at_once(lambda http, n: guess(http, person, n), MOST)
        assert statuses(wrong) == {401: MOST}
        body = {"email": person.email, "password": person.password}
        responses = crowded.at_once(lambda http, _: http.post("/api/auth/login", json=body), RIGHT)
        assert statuses(responses) == {401: RIGHT}
        assert {r.json()["code"] for r in responses} == {wrong[0].json()["code"]}
        assert count(crowded, crew, "login.succeeded") == 0
        report(wrong=MOST, right_refused=RIGHT, logged_in=0)

    def test_for_a_name_that_nobody_has_are_counted_alike(
        self, crowded: Crowd, report: Report
    ) -> None:
        """An unknown address is counted up to the same limit, whatever its case."""
        nobody = newcomer(crowded.world.client(), crowded.runtime.settings)
        email = nobody.email

        def act(http: httpx.Client, number: int) -> httpx.Response:
            body = {"email": email.upper() if number % 2 else email, "password": "Wrong-Words-1"}
            return http.post("/api/auth/login", json=body)

        assert statuses(crowded.at_once(act, TIMES)) == {401: TIMES}
        counted = attempts_of(crowded.runtime, f"email:{email}")
        assert counted == MOST
        report(requests=TIMES, counted=counted)
