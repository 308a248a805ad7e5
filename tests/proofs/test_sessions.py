"""Sessions: each refresh token has one successor, and nothing outlives the end of its session."""

import httpx
import pytest
from sqlalchemy import func, select

from bugtracker.models import Account, Session
from tests.behind import events_of
from tests.proofs.crowd import Crowd, pairs_of, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.registering import Newcomer, get_me, logout, refresh, tokens_of
from tests.world import Json, Org

TIMES = SIZE.requests


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


def live_sessions(crowded: Crowd, person: Newcomer) -> int:
    account = select(Account.id).where(Account.email == person.email).scalar_subquery()
    living = select(func.count()).where(Session.account_id == account, Session.revoked_at.is_(None))
    with crowded.runtime.db.transaction() as session:
        return int(session.scalar(living) or 0)


def are_worthless(person: Newcomer, pairs: list[Json]) -> None:
    """Neither token of any pair opens anything."""
    for pair in pairs:
        assert get_me(person.http, pair["access_token"]).status_code == 401
        assert refresh(person.http, pair["refresh_token"]).status_code == 401


class TestRefresh:
    def test_one_successor(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """Of many exchanges of one refresh token one succeeds, and because the others present a
        used token the session ends, with one event, and the successor is worthless too."""
        token = tokens_of(person.login())["refresh_token"]
        responses = crowded.at_once(lambda http, _: refresh(http, token))
        assert statuses(responses) == {200: 1, 401: TIMES - 1}
        are_worthless(person, pairs_of(responses))
        reuses = len(events_of(crowded.runtime, crew, "session.reuse_detected"))
        assert (reuses, live_sessions(crowded, person)) == (1, 0)
        report(requests=TIMES, exchanged=1, refused=TIMES - 1, reuse_events=reuses)

    @pytest.mark.parametrize("generation", [0, 2])
    def test_reuse_ends_the_family(
        self, crowded: Crowd, crew: Org, person: Newcomer, generation: int, report: Report
    ) -> None:
        """Whoever presents a used refresh token, however old, ends its whole family, once, and no
        other session."""
        other, family = tokens_of(person.login()), [tokens_of(person.login())]
        for _ in range(3):
            family.append(tokens_of(refresh(person.http, family[-1]["refresh_token"])))
        used = family[generation]["refresh_token"]
        responses = crowded.at_once(lambda http, _: refresh(http, used))
        assert statuses(responses) == {401: TIMES}
        are_worthless(person, family)
        assert get_me(person.http, other["access_token"]).status_code == 200
        reuses = len(events_of(crowded.runtime, crew, "session.reuse_detected"))
        assert (reuses, live_sessions(crowded, person)) == (1, 1)
        report(requests=TIMES, refused=TIMES, tokens_ended=len(family), reuse_events=reuses)

    def test_beside_a_logout(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """Whatever a refresh got beside the logout of its session is worthless after it, and the
        session ends with one event."""
        token = tokens_of(person.login())["refresh_token"]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            return logout(http, token) if number == TIMES // 2 else refresh(http, token)

        responses = crowded.at_once(act)
        assert statuses(responses)[204] == 1
        are_worthless(person, pairs_of(responses))
        ends = ("session.reuse_detected", "session.ended")
        events = sum(len(events_of(crowded.runtime, crew, action)) for action in ends)
        assert (events, live_sessions(crowded, person)) == (1, 0)
        report(requests=TIMES, exchanged=len(pairs_of(responses)), logouts=1, end_events=events)

    def test_beside_logging_out_everywhere(
        self, crowded: Crowd, person: Newcomer, report: Report
    ) -> None:
        """Whatever refreshes got beside a logout everywhere is worthless after it."""
        pairs = [tokens_of(person.login()) for _ in range(TIMES)]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number % 10 == 0:
                headers = bearer(pairs[number]["access_token"])
                return http.post("/api/auth/logout-all", headers=headers)
            return refresh(http, pairs[number]["refresh_token"])

        responses = crowded.at_once(act)
        assert statuses(responses)[204] >= 1
        assert set(statuses(responses)) <= {200, 204, 401}
        exchanged = pairs_of(responses)
        are_worthless(person, [*pairs, *exchanged])
        assert live_sessions(crowded, person) == 0
        logouts = statuses(responses)[204]
        report(sessions=TIMES, exchanged=len(exchanged), logouts=logouts, sessions_left=0)

    def test_beside_a_password_change(
        self, crowded: Crowd, person: Newcomer, report: Report
    ) -> None:
        """Whatever the other sessions' refreshes got beside a password change is worthless after
        it; the session that changed it lives."""
        mine, *others = (tokens_of(person.login()) for _ in range(TIMES))
        body = {"current_password": person.password, "new_password": "Spring-Tide-1"}

        def act(http: httpx.Client, number: int) -> httpx.Response:
            if number == TIMES // 2:
                headers = bearer(mine["access_token"])
                return http.post("/api/auth/password", json=body, headers=headers)
            return refresh(http, others[min(number, TIMES - 2)]["refresh_token"])

        responses = crowded.at_once(act)
        assert responses[TIMES // 2].status_code == 204
        exchanged = pairs_of(responses)
        are_worthless(person, [*others, *exchanged])
        assert get_me(person.http, mine["access_token"]).status_code == 200
        assert live_sessions(crowded, person) == 1
        report(sessions=TIMES, exchanged=len(exchanged), changes=1, sessions_left=1)


class TestEndSession:
    def test_once(self, crowded: Crowd, crew: Org, person: Newcomer, report: Report) -> None:
        """Of many requests that end one session one does, with one event; the others find none."""
        mine, other = (tokens_of(person.login()) for _ in range(2))
        headers = bearer(mine["access_token"])
        items = person.http.get("/api/auth/sessions", headers=headers).json()["items"]
        (path,) = (f"/api/auth/sessions/{item['id']}" for item in items if not item["current"])
        responses = crowded.at_once(lambda http, _: http.delete(path, headers=headers))
        assert statuses(responses) == {204: 1, 404: TIMES - 1}
        assert get_me(person.http, other["access_token"]).status_code == 401
        events = len(events_of(crowded.runtime, crew, "session.ended"))
        assert events == 1
        report(requests=TIMES, ended=1, not_found=TIMES - 1, events=events)


class TestLogin:
    def test_each_is_counted(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """Of logins at once none is lost: as many events, and the account's count, as answers."""
        body = {"email": person.email, "password": person.password}
        responses = crowded.at_once(lambda http, _: http.post("/api/auth/login", json=body))
        assert statuses(responses) == {200: TIMES}
        events = len(events_of(crowded.runtime, crew, "login.succeeded"))
        assert (events, person.me()["login_count"]) == (TIMES, TIMES + 1)
        report(requests=TIMES, logged_in=TIMES, events=events)
