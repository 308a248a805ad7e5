"""Fifty at once follow one mailed link, where one may win."""

from collections import Counter

import httpx
import pytest

from bugtracker.jobs.worker import WorkerThread
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.authenticators import enrolled
from tests.behind import employee, events_of
from tests.magic_links import ask, follow, linked, sessions_of
from tests.parallel import at_once
from tests.registering import Newcomer
from tests.world import Org, World

TIMES = 50


@pytest.fixture
def person(
    world: World, org: Org, anonymous: httpx.Client, settings: Settings, worker: WorkerThread
) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


class TestLoginByMagicLink:
    def test_a_link_gives_one_session(self, runtime: Runtime, org: Org, person: Newcomer) -> None:
        token = linked(person)
        responses = at_once([lambda: follow(person, token)] * TIMES)
        assert statuses(responses) == {200: 1, 422: TIMES - 1}
        assert sessions_of(runtime, person) == 1
        assert len(events_of(runtime, org, "login.succeeded")) == 1

    def test_with_a_second_factor_it_gives_one_challenge(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        enrolled(person)
        person.mail()
        token = linked(person, 2)
        responses = at_once([lambda: follow(person, token)] * TIMES)
        assert statuses(responses) == {202: 1, 422: TIMES - 1}
        assert sessions_of(runtime, person) == 1

    def test_asking_for_others_meanwhile_gives_no_second_session(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        token = linked(person)
        pair = [lambda: follow(person, token), lambda: ask(person)]
        counted = statuses(at_once(pair * (TIMES // 2)))
        assert counted[202] == TIMES // 2
        assert counted[200] + counted[422] == TIMES // 2
        assert sessions_of(runtime, person) == counted[200] <= 1
        assert follow(person, token).status_code == 422

    def test_a_link_and_a_lockout_by_wrong_passwords_do_not_hinder_each_other(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        token = linked(person)
        wrong = [lambda: person.login(password="Wrong-Words-12")] * (TIMES - 1)
        answers = at_once([*wrong, lambda: follow(person, token)])
        assert answers[-1].status_code == 200
        # The server may be too busy to try a password.
        assert set(statuses(answers[:-1])) <= {401, 503}
