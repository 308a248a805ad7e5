"""GET /api/events with ``wait``: woken by what is followed, free of threads, and still checked."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from bugtracker.app import create_app
from bugtracker.contract import Contract
from bugtracker.feed.watch import Watch
from bugtracker.runtime import Runtime
from tests.conformance import Conformance
from tests.feed.conftest import FEED, Follower
from tests.serving import serve
from tests.timing import within
from tests.world import Caller, Json, Org, World, refused

Number = Callable[[], None]

CROWD = 60
PATIENCE = 20


@pytest.fixture(scope="module")
def watch(runtime: Runtime) -> Watch:
    """Tells who waits at the servers of these tests."""
    return Watch(runtime.db, most_per_organisation=CROWD)


def until(watch: Watch, count: int) -> None:
    """Returns when so many wait."""
    deadline = time.monotonic() + PATIENCE
    while watch.count != count:
        assert time.monotonic() < deadline, (watch.count, count)
        time.sleep(0.01)


@contextmanager
def waiting(*requests: Callable[[], httpx.Response]) -> Iterator[list[Future[httpx.Response]]]:
    """Requests under way."""
    with ThreadPoolExecutor(len(requests)) as pool:
        yield [pool.submit(request) for request in requests]


@pytest.fixture(scope="module")
def own_world(watch: Watch, runtime: Runtime, contract: Contract) -> Iterator[World]:
    with serve(create_app(runtime, contract, watch)) as running:
        world = World(runtime, running.url, Conformance(contract))
        yield world
        world.close()


@pytest.fixture
def org(own_world: World) -> Org:
    return own_world.create_org()


def quiet(org: Org, follower: Follower, number: Number) -> Json:
    """A project in an organisation whose people are there, and where all has been read."""
    assert {org.owner.role, org.developer.role, org.member.role}
    project = org.manager.create_project()
    number()
    follower.read()
    return project


def asking(caller: Caller, cursor: str, **query: Any) -> Callable[[], httpx.Response]:
    parameters = {"after": cursor, "wait": PATIENCE, **query}
    return lambda: caller.get(FEED, params=parameters)


def items_of(request: Future[httpx.Response]) -> list[Json]:
    response = request.result(PATIENCE)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


class TestWait:
    def test_ends_with_the_first_event_that_is_asked_for(
        self, watch: Watch, org: Org, follower: Follower, number: Number
    ) -> None:
        project = quiet(org, follower, number)
        requests = [
            asking(org.auditor, follower.cursor),
            asking(org.auditor, follower.cursor, types="comment.*"),
            # From now on.
            lambda: org.developer.get(FEED, params={"wait": PATIENCE, "types": "issue.*"}),
        ]
        with waiting(*requests) as (anything, comments, new):
            until(watch, 3)
            issue = org.manager.create_issue(project)
            number()
            assert [each["type"] for each in items_of(anything)] == ["issue.created"]
            assert [each["type"] for each in items_of(new)] == ["issue.created"]
            until(watch, 1)
            org.manager.create_comment(issue)
            number()
            assert [each["type"] for each in items_of(comments)] == ["comment.created"]
        until(watch, 0)

    def test_ends_without_events_when_time_is_up(
        self, org: Org, follower: Follower, number: Number
    ) -> None:
        quiet(org, follower, number)
        began = time.monotonic()
        assert follower.ask(wait=1) == {
            "items": [], "next_cursor": follower.cursor, "has_more": False
        }  # fmt: skip
        assert 1 <= time.monotonic() - began < PATIENCE

    def test_asks_again_who_you_are_and_what_you_may(
        self, watch: Watch, own_world: World, org: Org, follower: Follower, number: Number
    ) -> None:
        project = quiet(org, follower, number)
        leaver, loser = org.developer, org.member
        made = org.owner.create_api_key("issues.read")
        key = own_world.with_key(made)
        requests = [
            asking(leaver, follower.cursor),
            asking(loser, follower.cursor),
            lambda: key.get(FEED, params={"after": follower.cursor, "wait": PATIENCE}),
        ]
        with waiting(*requests) as answers:
            until(watch, 3)
            assert leaver.post("/api/auth/logout-all").is_success
            own_world.remove(org, loser)
            revoked = org.owner.delete(f"/api/api-keys/{made['api_key']['id']}")
            assert revoked.is_success
            org.manager.create_issue(project)
            number()
            for answer in answers:
                refused(answer.result(PATIENCE), 401, "token_invalid")

    def test_of_a_client_that_leaves_ends_at_once(
        self, watch: Watch, org: Org, follower: Follower, number: Number
    ) -> None:
        quiet(org, follower, number)
        query: dict[str, Any] = {"after": follower.cursor, "wait": PATIENCE}
        with pytest.raises(httpx.ReadTimeout):
            org.auditor.get(FEED, params=query, timeout=1)
        left = time.monotonic()
        until(watch, 0)
        assert time.monotonic() - left < PATIENCE / 2

    def test_of_head_is_none(self, org: Org, follower: Follower) -> None:
        query = {"after": follower.cursor, "wait": PATIENCE}
        assert org.auditor.http.head(FEED, params=query, timeout=10).status_code == 200


class TestCrowd:
    def test_takes_no_thread_and_no_connection_and_has_an_end(
        self, watch: Watch, org: Org, follower: Follower, number: Number
    ) -> None:
        project = quiet(org, follower, number)
        requests = [asking(org.auditor, follower.cursor) for _ in range(CROWD)]
        alone = seconds_of_others(org)
        with waiting(*requests) as answers:
            until(watch, CROWD)
            beside = seconds_of_others(org)
            # One too many is told at once that there is nothing.
            assert asking(org.developer, follower.cursor)().json()["items"] == []
            org.manager.create_issue(project)
            number()
            began = time.monotonic()
            assert [len(items_of(each)) for each in answers] == [1] * CROWD
            woken = time.monotonic() - began
        print(f"a list alone {alone:.4f} s, beside {CROWD} that wait {beside:.4f} s;")
        print(f"all woken after {woken:.2f} s")
        assert beside < max(4 * alone, within(0.1))

    def test_is_answered_when_the_server_stops(
        self, runtime: Runtime, contract: Contract, org: Org, follower: Follower, number: Number
    ) -> None:
        quiet(org, follower, number)
        watch, count = Watch(runtime.db), 5
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(count))
            with serve(create_app(runtime, contract, watch)) as running:
                query: dict[str, Any] = {"after": follower.cursor, "wait": PATIENCE}
                ask = partial(httpx.get, running.url + FEED, params=query, timeout=PATIENCE)
                headers = follower.caller.authorization
                answers = [pool.submit(ask, headers=headers) for _ in range(count)]
                until(watch, count)
                began = time.monotonic()
            assert [items_of(each) for each in answers] == [[]] * count
        assert time.monotonic() - began < PATIENCE / 2
        assert {each.result().headers["connection"] for each in answers} == {"close"}


def seconds_of_others(org: Org) -> float:
    """What a short request takes, in the middle."""
    seconds = []
    for _ in range(15):
        began = time.monotonic()
        assert org.developer.get("/api/projects").is_success
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)
