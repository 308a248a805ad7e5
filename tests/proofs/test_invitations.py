"""Invitations: one joins by one, one is sent to an address, and never two ways at once."""

from uuid import uuid4

import httpx
import pytest

from bugtracker.jobs.worker import WorkerThread
from tests.behind import events_of
from tests.inviting import URL, accept, details, invited, somebody, token_for, url
from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.registering import Newcomer, newcomer
from tests.world import Org

TIMES = SIZE.requests

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def known(crowded: Crowd, worker: WorkerThread) -> Newcomer:
    """Somebody with an account and no organisation."""
    return somebody(crowded.world, crowded.world.client(), crowded.runtime.settings)


def test_a_token_works_once(crowded: Crowd, crew: Org, known: Newcomer, report: Report) -> None:
    """Of many who accept one invitation one joins, with one event of each kind."""
    invited(crew.owner, known.email)
    body = {"token": token_for(known)}
    responses = crowded.at_once(lambda http, _: http.post(f"{URL}/accept", json=body))
    assert statuses(responses) == {200: 1, 422: TIMES - 1}
    for action in ("invitation.accepted", "member.joined"):
        actors = [event.actor_id for event in events_of(crowded.runtime, crew, action)]
        assert len([actor for actor in actors if actor not in (None, crew.owner.id)]) == 1
    report(requests=TIMES, joined=1, refused=TIMES - 1)


def test_a_token_makes_one_account(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many who accept one invitation with a new account each one gets it, and its name."""
    person = newcomer(crowded.world.client(), crowded.runtime.settings)
    invited(crew.owner, person.email)
    body = {"token": token_for(person), **details(person)}

    def act(http: httpx.Client, number: int) -> httpx.Response:
        named = body | {"username": f"{person.username}-{number}"}
        return http.post(f"{URL}/accept", json=named)

    responses = crowded.at_once(act)
    assert statuses(responses) == {200: 1, 422: TIMES - 1}
    (won,) = (answer.json() for answer in responses if answer.status_code == 200)
    assert person.me()["username"] == won["username"]
    report(requests=TIMES, accounts=1, refused=TIMES - 1)


def test_revoked_meanwhile(crowded: Crowd, crew: Org, known: Newcomer, report: Report) -> None:
    """An invitation that is accepted and revoked at the same moment is one or the other."""
    invitation = invited(crew.owner, known.email)
    body, headers = {"token": token_for(known)}, crew.owner.authorization

    def act(http: httpx.Client, number: int) -> httpx.Response:
        if number % 2:
            return http.delete(url(invitation), headers=headers)
        return http.post(f"{URL}/accept", json=body)

    responses = crowded.at_once(act)
    joined, revoked = (statuses(responses[first::2]) for first in (0, 1))
    assert joined[200] + (revoked[204] > 0) == 1
    assert set(joined) <= {200, 422}
    assert set(revoked) <= {204, 409}
    state = crew.owner.get(url(invitation)).json()["state"]
    assert state == ("accepted" if joined[200] else "revoked")
    assert accept(known, body["token"]).status_code == 422
    report(requests=TIMES, joined=joined[200])


def test_an_address_is_invited_once(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many invitations of one address one is made."""
    body = {"email": f"{uuid4().hex}@example.com", "role": "member"}
    headers = crew.owner.authorization
    responses = crowded.at_once(lambda http, _: http.post(URL, json=body, headers=headers))
    assert statuses(responses) == {201: 1, 409: TIMES - 1}
    assert len(crew.owner.get(URL).json()["items"]) == 1
    report(requests=TIMES, invited=1, refused=TIMES - 1)
