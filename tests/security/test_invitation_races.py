"""Fifty at once with one invitation: one joins, one is sent, and never both ways."""

from collections import Counter
from functools import partial
from uuid import uuid4

import httpx
import pytest

from bugtracker.runtime import Runtime
from tests.behind import events_of
from tests.inviting import URL, accept, details, invited, somebody, token_for, url
from tests.parallel import at_once
from tests.registering import newcomer
from tests.world import Org, World

pytestmark = pytest.mark.usefixtures("worker")

TIMES = 50


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


class TestAccept:
    def test_a_token_works_once_with_an_account(
        self, world: World, runtime: Runtime, org: Org, anonymous: httpx.Client
    ) -> None:
        person = somebody(world, anonymous, runtime.settings)
        invited(org.owner, person.email)
        call = partial(accept, person, token_for(person))
        assert statuses(at_once([call] * TIMES)) == {200: 1, 422: TIMES - 1}
        for action in ("invitation.accepted", "member.joined"):
            mine = [e for e in events_of(runtime, org, action) if e.actor_id != org.owner.id]
            assert len([e for e in mine if e.actor_id is not None]) == 1

    def test_a_token_makes_one_account(
        self, runtime: Runtime, org: Org, anonymous: httpx.Client
    ) -> None:
        person = newcomer(anonymous, runtime.settings)
        invited(org.owner, person.email)
        token = token_for(person)
        names = [f"{person.username}-{n}" for n in range(TIMES)]
        calls = [partial(accept, person, token, **details(person) | {"username": n}) for n in names]
        answers = at_once(calls)
        # Whoever is too busy hashing says so; their token was not looked at.
        codes = statuses(answers)
        assert codes[200] == 1
        assert set(codes) <= {200, 422, 503}
        (won,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert person.me()["username"] == won["username"]

    def test_revoked_meanwhile_it_is_one_or_the_other(
        self, world: World, runtime: Runtime, org: Org, anonymous: httpx.Client
    ) -> None:
        for _ in range(5):
            person = somebody(world, anonymous, runtime.settings)
            invitation = invited(org.owner, person.email)
            token = token_for(person)
            owner = org.owner
            joined, revoked = at_once(
                [partial(accept, person, token), partial(owner.delete, url(invitation))]
            )
            pair = (joined.status_code, revoked.status_code)
            assert pair in ((200, 409), (422, 204))
            state = owner.get(url(invitation)).json()["state"]
            assert state == ("accepted" if pair[0] == 200 else "revoked")


class TestCreate:
    def test_an_address_is_invited_once(self, org: Org) -> None:
        body = {"email": f"{uuid4().hex}@example.com", "role": "member"}
        owner = org.owner
        answers = at_once([partial(owner.post, URL, body)] * TIMES)
        assert statuses(answers) == {201: 1, 409: TIMES - 1}
        assert len(owner.get(URL).json()["items"]) == 1
