"""Somebody who follows an organisation, and its record put in order when a test says so."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bugtracker.audit.sealing import NUMBER
from bugtracker.runtime import Runtime
from tests.world import Caller, Json, Org

FEED = "/api/events"


@dataclass
class Follower:
    """Reads the feed as docs/webhooks.md tells programs to."""

    caller: Caller
    cursor: str = ""

    def ask(self, **query: Any) -> Json:
        """One answer; the next one goes on behind it."""
        after = {"after": self.cursor} if self.cursor else {}
        response = self.caller.get(FEED, params={**after, **query})
        assert response.status_code == 200, response.text
        body: Json = response.json()
        self.cursor = body["next_cursor"]
        return body

    def read(self, **query: Any) -> list[Json]:
        """Everything up to now."""
        items, more = [], True
        while more:
            body = self.ask(**query)
            items += body["items"]
            more = body["has_more"]
        return items


@pytest.fixture
def follower(org: Org) -> Follower:
    """The auditor, who follows from now on."""
    following = Follower(org.auditor)
    following.ask()
    return following


@pytest.fixture
def number(runtime: Runtime) -> Callable[[], None]:
    """Gives what was committed its numbers, as the worker does every second."""

    def now() -> None:
        with runtime.db.read() as connection:
            connection.execute(NUMBER)

    return now
