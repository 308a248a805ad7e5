"""Passwords: one change wins, a mailed link works once, and nothing outlives either."""

import re

import httpx
from sqlalchemy import text

from bugtracker.jobs.worker import WorkerThread
from tests.behind import events_of
from tests.proofs.crowd import Crowd, pairs_of, statuses, the_one
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.test_sessions import are_worthless, bearer, live_sessions
from tests.registering import Newcomer, get_me, refresh, text_of, tokens_of
from tests.world import Org

TIMES = SIZE.requests
NEW = [f"Spring-Tide-{number}" for number in range(TIMES)]


def change(http: httpx.Client, access_token: str, current: str, new: str) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return http.post("/api/auth/password", json=body, headers=bearer(access_token))


def reset(http: httpx.Client, token: str, new: str) -> httpx.Response:
    return http.post("/api/auth/password/reset", json={"token": token, "new_password": new})


def reset_token(person: Newcomer) -> str:
    """The token of a mailed link."""
    person.http.post("/api/auth/password/forgot", json={"email": person.email})
    found = re.search(r"#action=reset-password&token=(\S+)", text_of(person.mail()))
    assert found is not None
    return found[1]


class TestChangePassword:
    def test_one_wins(self, crowded: Crowd, crew: Org, person: Newcomer, report: Report) -> None:
        """Of many changes that all know the old password one is made: its password holds, the old
        one does not, and there is one event."""
        access = tokens_of(person.login())["access_token"]
        responses = crowded.at_once(lambda http, n: change(http, access, person.password, NEW[n]))
        assert statuses(responses) == {204: 1, 422: TIMES - 1}
        assert person.login(password=NEW[the_one(responses, 204)]).status_code == 200
        assert person.login().status_code == 401
        events = len(events_of(crowded.runtime, crew, "password.changed"))
        assert events == 1
        report(requests=TIMES, changed=1, refused=TIMES - 1, events=events)

    def test_beside_logins(self, crowded: Crowd, person: Newcomer, report: Report) -> None:
        """With the old password or a token from before, nobody has a session after the change but
        the one who made it."""
        mine, stolen = (tokens_of(person.login()) for _ in range(2))

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number == TIMES // 2:
                return change(http, mine["access_token"], person.password, NEW[0])
            if number == 0:
                return refresh(http, stolen["refresh_token"])
            body = {"email": person.email, "password": person.password}
            return http.post("/api/auth/login", json=body)

        responses = crowded.at_once(act)
        assert statuses(responses)[204] == 1
        started = pairs_of(responses)
        are_worthless(person, started)
        assert get_me(person.http, mine["access_token"]).status_code == 200
        assert live_sessions(crowded, person) == 1
        report(requests=TIMES, got_tokens=len(started), changes=1, sessions_left=1)


class TestResetPassword:
    def test_a_link_works_once(
        self, crowded: Crowd, person: Newcomer, worker: WorkerThread, report: Report
    ) -> None:
        """Of many uses of one mailed link one sets its password, and no session is left."""
        person.login()
        token = reset_token(person)
        responses = crowded.at_once(lambda http, n: reset(http, token, NEW[n]))
        assert statuses(responses) == {200: 1, 422: TIMES - 1}
        assert live_sessions(crowded, person) == 0
        assert person.login(password=NEW[the_one(responses, 200)]).status_code == 200
        report(requests=TIMES, reset=1, refused=TIMES - 1, sessions_left=0)

    def test_beside_logins(
        self, crowded: Crowd, person: Newcomer, worker: WorkerThread, report: Report
    ) -> None:
        """Whoever knew the old password or held a token is out after the reset."""
        stolen, token = tokens_of(person.login()), reset_token(person)

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number == TIMES // 2:
                return reset(http, token, NEW[0])
            if number == 0:
                return refresh(http, stolen["refresh_token"])
            body = {"email": person.email, "password": person.password}
            return http.post("/api/auth/login", json=body)

        responses = crowded.at_once(act)
        assert responses[TIMES // 2].status_code == 200
        started = pairs_of(responses)
        are_worthless(person, [stolen, *started])
        assert live_sessions(crowded, person) == 0
        assert person.login().status_code == 401
        assert person.login(password=NEW[0]).status_code == 200
        report(requests=TIMES, got_tokens=len(started), resets=1, sessions_left=0)

    def test_one_mail_waits(self, crowded: Crowd, person: Newcomer, report: Report) -> None:
        """However often a link is asked for at once, at most one mail waits in the queue."""
        body = {"email": person.email}
        responses = crowded.at_once(
            lambda http, _: http.post("/api/auth/password/forgot", json=body)
        )
        assert statuses(responses) == {202: TIMES}
        waiting = text(
            "SELECT count(*) FROM procrastinate_jobs j JOIN accounts a ON"
            " a.id::text = args->>'account_id' WHERE email = :email AND status = 'todo'"
        )
        with crowded.runtime.db.read() as connection:
            mails = connection.execute(waiting, body).scalar_one()
        assert mails <= 1
        report(requests=TIMES, accepted=TIMES, mails_waiting=mails)
