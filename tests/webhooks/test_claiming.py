"""Deliveries are taken by one worker each, a fair share of each endpoint, and never for good."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.services.events import Origin, Resource, append
from bugtracker.webhooks.dispatch import CLAIM
from tests.webhooks.stepping import Stepper, subscribe
from tests.world import Org

WORKERS, EVENTS = 20, 60


@pytest.fixture
def many(org: Org, stepper: Stepper) -> Org:
    """An organisation with deliveries that are due, to a receiver that nobody asks."""
    subscribe(org, "https://hooks.example.com/", "project.created")
    with org.world.runtime.db.transaction(org_id=org.id) as session:
        by = Origin(utc_now(), org.id)
        for _ in range(EVENTS):
            append(session, by, "project.created", Resource("project", new_id(), 1), {})
    stepper.fan_out(org)
    return org


def claim(org: Org, per_endpoint: int, seconds: int = 30) -> list[Any]:
    limits = {"most": 1000, "per_endpoint": per_endpoint, "seconds": seconds}
    with org.world.runtime.db.read() as connection:
        return [row for row in connection.execute(CLAIM, limits) if row.org_id == org.id]


def claim_at_once(org: Org, per_endpoint: int) -> list[Any]:
    start = Barrier(WORKERS, timeout=30)

    def one(_: int) -> list[Any]:
        start.wait()
        return claim(org, per_endpoint)

    with ThreadPoolExecutor(WORKERS) as pool:
        return [row for rows in pool.map(one, range(WORKERS)) for row in rows]


class TestClaim:
    def test_gives_each_delivery_to_one_of_many(self, many: Org) -> None:
        claimed = claim_at_once(many, 7 * EVENTS)
        assert len(claimed) == len({row.event_id for row in claimed}) == EVENTS

    def test_leaves_no_endpoint_with_more_than_its_share(self, many: Org) -> None:
        assert len(claim_at_once(many, 8)) == 8

    def test_of_one_that_was_killed_ends(self, many: Org, stepper: Stepper) -> None:
        first = claim(many, EVENTS, seconds=0)
        second = claim(many, EVENTS)
        assert [row.event_id for row in first] == [row.event_id for row in second]
        assert {row.attempt for row in first} == {1}
        assert {row.attempt for row in second} == {2}
        assert {row.failures for row in second} == {0}
        assert claim(many, EVENTS) == []
