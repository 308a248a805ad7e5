"""Fifty at once around passwords and sessions: one change wins, and nothing outlives it."""

import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import func, select, text

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, Session
from bugtracker.settings import Settings
from tests.behind import employee, events_of
from tests.conformance import Conformance
from tests.registering import Newcomer, get_me, refresh, text_of, tokens_of
from tests.security.test_races import TIMES, at_once, statuses
from tests.serving import serve
from tests.world import Org, World


@pytest.fixture(scope="module")
def crowded(settings: Settings, contract: Contract) -> Iterator[World]:
    """A server that lets all its handler threads hash at once, and everybody try often."""
    update = {"hashing_threads": settings.threads, "lockout_attempts": 10_000}
    busy = settings.model_copy(update=update)
    runtime = create_runtime(busy)
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    runtime.db.close()


@pytest.fixture
def org(crowded: World) -> Org:
    return crowded.create_org()


@pytest.fixture
def person(crowded: World, org: Org) -> Newcomer:
    return employee(crowded, org, crowded.client(), crowded.runtime.settings)


def live_sessions(world: World, person: Newcomer) -> int:
    account = select(Account.id).where(Account.email == person.email).scalar_subquery()
    living = select(func.count()).where(Session.account_id == account, Session.revoked_at.is_(None))
    with world.runtime.db.transaction() as session:
        return int(session.scalar(living) or 0)


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


def change(http: httpx.Client, access_token: str, current: str, new: str) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return http.post("/api/auth/password", json=body, headers=bearer(access_token))


def reset_token(person: Newcomer) -> str:
    """The token of a mailed link."""
    person.http.post("/api/auth/password/forgot", json={"email": person.email})
    found = re.search(r"#action=reset-password&token=(\S+)", text_of(person.mail()))
    assert found is not None
    return found[1]


class TestChangePassword:
    def test_one_of_many_changes_wins(self, crowded: World, org: Org, person: Newcomer) -> None:
        """Of changes that all know the old password, one is made: its password holds."""
        access = tokens_of(person.login())["access_token"]
        new = [f"Spring-Tide-{number}" for number in range(TIMES)]
        responses = at_once(crowded, lambda http, n: change(http, access, person.password, new[n]))
        assert statuses(responses) == {204: 1, 422: TIMES - 1}
        (winner,) = (n for n, response in enumerate(responses) if response.status_code == 204)
        assert person.login(password=new[winner]).status_code == 200
        assert person.login().status_code == 401
        assert len(events_of(crowded.runtime, org, "password.changed")) == 1

    def test_no_login_or_refresh_meanwhile_survives(self, crowded: World, person: Newcomer) -> None:
        """With the old password or token nobody has a session after the change, but who made it."""
        mine, stolen = (tokens_of(person.login()) for _ in range(2))

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number == TIMES // 2:
                return change(http, mine["access_token"], person.password, "Spring-Tide-1")
            if number == 0:
                return refresh(http, stolen["refresh_token"])
            body = {"email": person.email, "password": person.password}
            return http.post("/api/auth/login", json=body)

        responses = at_once(crowded, act)
        assert statuses(responses)[204] == 1
        for response in responses:
            if response.status_code == 200:
                pair = response.json()
                assert get_me(person.http, pair["access_token"]).status_code == 401
                assert refresh(person.http, pair["refresh_token"]).status_code == 401
        assert get_me(person.http, mine["access_token"]).status_code == 200
        assert live_sessions(crowded, person) == 1


class TestResetPassword:
    def test_a_token_works_once(
        self, crowded: World, person: Newcomer, worker: WorkerThread
    ) -> None:
        """Of uses of one token, one sets its password, and no session is left."""
        person.login()
        token = reset_token(person)
        new = [f"Spring-Tide-{number}" for number in range(TIMES)]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            body = {"token": token, "new_password": new[number]}
            return http.post("/api/auth/password/reset", json=body)

        responses = at_once(crowded, act)
        assert statuses(responses) == {200: 1, 422: TIMES - 1}
        assert live_sessions(crowded, person) == 0
        (winner,) = (n for n, response in enumerate(responses) if response.status_code == 200)
        assert person.login(password=new[winner]).status_code == 200

    def test_no_login_or_refresh_or_change_meanwhile_survives(
        self, crowded: World, person: Newcomer, worker: WorkerThread
    ) -> None:
        """Whoever knew the old password or held a token is out after the reset."""
        stolen, token = tokens_of(person.login()), reset_token(person)

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number == TIMES // 2:
                body = {"token": token, "new_password": "Spring-Tide-1"}
                return http.post("/api/auth/password/reset", json=body)
            if number == 0:
                return refresh(http, stolen["refresh_token"])
            body = {"email": person.email, "password": person.password}
            return http.post("/api/auth/login", json=body)

        responses = at_once(crowded, act)
        assert responses[TIMES // 2].status_code == 200
        assert live_sessions(crowded, person) == 0
        assert person.login().status_code == 401
        assert person.login(password="Spring-Tide-1").status_code == 200

    def test_many_requests_make_one_mail_wait(self, crowded: World, person: Newcomer) -> None:
        """However often it is asked for, one mail at a time is in the queue."""
        body = {"email": person.email}
        responses = at_once(
            crowded, lambda http, _: http.post("/api/auth/password/forgot", json=body)
        )
        assert statuses(responses) == {202: TIMES}
        waiting = text(
            "SELECT count(*) FROM procrastinate_jobs j JOIN accounts a ON"
            " a.id::text = args->>'account_id' WHERE email = :email AND status = 'todo'"
        )
        with crowded.runtime.db.read() as connection:
            assert connection.execute(waiting, body).scalar_one() <= 1


class TestEndSessions:
    def test_a_session_is_ended_once(self, crowded: World, org: Org, person: Newcomer) -> None:
        """Of requests that end one session, one does and is recorded; the others find nothing."""
        mine, other = (tokens_of(person.login()) for _ in range(2))
        items = person.http.get("/api/auth/sessions", headers=bearer(mine["access_token"])).json()
        (path,) = (f"/api/auth/sessions/{i['id']}" for i in items["items"] if not i["current"])
        headers = bearer(mine["access_token"])
        responses = at_once(crowded, lambda http, _: http.delete(path, headers=headers))
        assert statuses(responses) == {204: 1, 404: TIMES - 1}
        assert get_me(person.http, other["access_token"]).status_code == 401
        assert len(events_of(crowded.runtime, org, "session.ended")) == 1

    def test_no_refresh_survives_logging_out_everywhere(
        self, crowded: World, person: Newcomer
    ) -> None:
        """Of refreshes beside a logout everywhere, whatever they got is worthless after it."""
        pairs = [tokens_of(person.login()) for _ in range(TIMES)]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number % 10 == 0:
                headers = bearer(pairs[number]["access_token"])
                return http.post("/api/auth/logout-all", headers=headers)
            return refresh(http, pairs[number]["refresh_token"])

        responses = at_once(crowded, act)
        assert statuses(responses)[204] >= 1
        assert set(statuses(responses)) <= {200, 204, 401}
        assert live_sessions(crowded, person) == 0
        for response in responses:
            if response.status_code == 200:
                assert get_me(person.http, response.json()["access_token"]).status_code == 401
