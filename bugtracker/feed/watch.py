"""Tells those who wait that something happened: one look at the database for all of a process.

Who waits costs an entry here, and neither a thread nor a connection. The look goes through the
organisations that somebody waits for, in one short transaction, twice a second.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from anyio import CapacityLimiter, to_thread

from bugtracker.db import Database, enter_tenant
from bugtracker.feed.waits import Wait
from bugtracker.queries import feed as queries

PAUSE_SECONDS = 0.5
MOST = 500
"""Who waits at the same time in a process. Each keeps a connection of its client open."""
MOST_PER_ORGANISATION = 100
LOOK_EVENTS = 1_000
"""Events of an organisation that one look takes in; the next one goes on behind them."""

Seen = Mapping[UUID, Sequence[tuple[int, str]]]
"""Organisation → numbers and actions of what happened."""

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits."""

    wait: Wait
    number: int
    """Nothing up to this event was for them."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """All who wait in a process. Belongs to its event loop."""

    def __init__(
        self, db: Database, most: int = MOST, most_per_organisation: int = MOST_PER_ORGANISATION
    ) -> None:
        self._db = db
        self._most = most
        self._most_per_organisation = most_per_organisation
        self._waiters: dict[UUID, set[Waiter]] = {}
        self._one_look = CapacityLimiter(1)
        self._looking: asyncio.Task[None] | None = None

    def enter(self, wait: Wait) -> Waiter | None:
        """A place to wait at, to be left by :meth:`leave`; None when all are taken."""
        there = self._waiters.get(wait.org_id, set())
        if len(there) >= self._most_per_organisation or self.count >= self._most:
            return None
        waiter = Waiter(wait, wait.number)
        self._waiters.setdefault(wait.org_id, there).add(waiter)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Gives the place back."""
        there = self._waiters[waiter.wait.org_id]
        there.remove(waiter)
        if not there:
            del self._waiters[waiter.wait.org_id]

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiters.values()))

    async def _look_on(self) -> None:
        """Looks until nobody waits any more."""
        try:
            while self._waiters:
                await asyncio.sleep(PAUSE_SECONDS)
                await self._look_once()
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        positions = {
            org_id: min(each.number for each in there) for org_id, there in self._waiters.items()
        }
        try:
            seen = await to_thread.run_sync(self._look, positions, limiter=self._one_look)
        except Exception:
            # Who waits asks again at the end of their time, and is told then.
            log.exception("feed_look_failed")
            return
        for org_id, events in seen.items():
            self._tell(org_id, events)

    def _look(self, positions: Mapping[UUID, int]) -> Seen:
        seen = {}
        with self._db.transaction() as session:
            for org_id, number in positions.items():
                enter_tenant(session, org_id)
                rows = session.execute(queries.actions_behind(org_id, number, LOOK_EVENTS))
                seen[org_id] = [(row.number, row.action) for row in rows]
        return seen

    def _tell(self, org_id: UUID, events: Sequence[tuple[int, str]]) -> None:
        if not events:
            return
        for waiter in self._waiters.get(org_id, ()):
            if any(
                number > waiter.number and action in waiter.wait.actions
                for number, action in events
            ):
                waiter.woken.set()
            else:
                waiter.number = max(waiter.number, events[-1][0])
