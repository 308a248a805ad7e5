"""Mailed links that log in: one session of one link, whatever else happens meanwhile."""

import httpx
import pytest

from bugtracker.jobs.worker import WorkerThread
from tests.authenticator import Authenticator
from tests.behind import events_of
from tests.magic_links import follow, linked, sessions_of
from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.registering import Newcomer
from tests.world import Org

TIMES = SIZE.requests


@pytest.fixture
def person(crowded: Crowd, crew: Org, worker: WorkerThread) -> Newcomer:
    """A developer who gets mails."""
    return crowded.employee(crew)


def use(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/api/auth/magic-link/login", json={"token": token})


def test_a_link_starts_one_session(
    crowded: Crowd, crew: Org, person: Newcomer, report: Report
) -> None:
    """Of many uses of one mailed link one starts a session, with one event."""
    token = linked(person)
    responses = crowded.at_once(lambda http, _: use(http, token))
    assert statuses(responses) == {200: 1, 422: TIMES - 1}
    events = len(events_of(crowded.runtime, crew, "login.succeeded"))
    assert (sessions_of(crowded.runtime, person), events) == (1, 1)
    report(requests=TIMES, sessions=1, refused=TIMES - 1, events=events)


def test_a_link_gives_one_challenge(crowded: Crowd, person: Newcomer, report: Report) -> None:
    """Of many uses of one mailed link one gets the challenge of the second factor, and none a
    session."""
    Authenticator(crowded.runtime, person).switched_on()
    person.mail()
    token = linked(person, 2)
    responses = crowded.at_once(lambda http, _: use(http, token))
    assert statuses(responses) == {202: 1, 422: TIMES - 1}
    assert sessions_of(crowded.runtime, person) == 1
    report(requests=TIMES, challenges=1, refused=TIMES - 1, sessions=0)


def test_beside_asking_for_others(crowded: Crowd, person: Newcomer, report: Report) -> None:
    """While others are asked for, a link starts at most one session, and none afterwards."""
    token, body = linked(person), {"email": person.email}

    def act(http: httpx.Client, number: int) -> httpx.Response:
        return use(http, token) if number % 2 else http.post("/api/auth/magic-link", json=body)

    counted = statuses(crowded.at_once(act))
    assert counted[202] == TIMES // 2
    assert counted[200] + counted[422] == TIMES // 2
    assert sessions_of(crowded.runtime, person) == counted[200] <= 1
    assert follow(person, token).status_code == 422
    report(requests=TIMES, asked=counted[202], sessions=counted[200])


def test_beside_wrong_passwords(crowded: Crowd, person: Newcomer, report: Report) -> None:
    """However many try wrong passwords meanwhile, the link logs its owner in."""
    token, body = linked(person), {"email": person.email, "password": "Wrong-Words-12"}

    def act(http: httpx.Client, number: int) -> httpx.Response:
        return use(http, token) if number == 0 else http.post("/api/auth/login", json=body)

    first, *others = crowded.at_once(act)
    assert first.status_code == 200
    assert statuses(others) == {401: TIMES - 1}
    report(wrong_passwords=TIMES - 1, logged_in=1)
