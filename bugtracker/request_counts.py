"""How many requests of each organisation are let through and limited, by operation and minute.

Counted in this process, which costs a request some microseconds, and added to the database every
few seconds and at the end: a process that is killed loses at most what it counted since. What
answered 429 is *limited*, whichever limit it was; everything else is *allowed*. Requests of nobody
known are not counted. docs/decisions/0031-requests-are-counted-in-memory.md has the reasons.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from starlette.types import Scope

from bugtracker.clock import utc_now
from bugtracker.db import Database
from bugtracker.periods import MOST

FLUSH_SECONDS = 10.0
MOST_COUNTS = 20_000
"""Most numbers that are kept between flushes: what is new beyond it is not counted."""
MOST_CALLERS = 10_000
PRUNED_AT_ONCE = 5000
LIMITED = 429

PRUNE = text("SELECT prune_request_counts(:minutes, :hours, :most)")

Key = tuple[UUID, str, int]
"""Organisation, operation, and the minute since 1970."""
Cells = dict[Key, list[int]]
"""Allowed and limited."""

log = structlog.get_logger()


class RequestCounts:
    """The numbers of this process that are not in the database yet. Threads share it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._cells: Cells = {}
        self._lost = 0

    def add(self, org_id: UUID, operation: str, *, limited: bool) -> None:
        """Counts a request of this moment."""
        key = org_id, operation, int(self._clock()) // 60
        with self._lock:
            cell = self._cells.get(key)
            if cell is not None:
                cell[limited] += 1
            elif len(self._cells) < MOST_COUNTS:
                self._cells[key] = [0, 1] if limited else [1, 0]
            else:
                self._lost += 1

    def flush(self, db: Database) -> None:
        """Adds everything to the database, in one transaction; what fails is kept for the next
        time. Never raises: nobody could do better."""
        with self._lock:
            cells, self._cells = self._cells, {}
            lost, self._lost = self._lost, 0
        if lost:
            log.warning("request_counts_full", uncounted=lost)
        if not cells:
            return
        try:
            with db.transaction() as session:
                session.execute(select(func.add_request_counts(literal(_rows(cells), JSONB))))
        except Exception as error:
            log.warning("request_counts_kept", counts=len(cells), reason=error)
            self._put_back(cells)

    def _put_back(self, cells: Cells) -> None:
        with self._lock:
            for key, (allowed, limited) in cells.items():
                cell = self._cells.setdefault(key, [0, 0])
                cell[0] += allowed
                cell[1] += limited


def _rows(cells: Cells) -> list[dict[str, Any]]:
    return [
        {
            "org_id": str(org_id),
            "minute": datetime.fromtimestamp(minute * 60, UTC).isoformat(),
            "operation": operation,
            "allowed": allowed,
            "limited": limited,
        }
        for (org_id, operation, minute), (allowed, limited) in cells.items()
    ]


class RecentCallers:
    """The organisations of callers that this process let in lately, by a hash of their credential:
    a request that is limited before anybody looks at it is counted with its organisation."""

    def __init__(self) -> None:
        self._known: dict[bytes, UUID] = {}

    def remember(self, authorization: bytes, org_id: UUID) -> None:
        """Notes a credential that was just used with success."""
        known, digest = self._known, _digest(authorization)
        if digest not in known and len(known) >= MOST_CALLERS:
            known.pop(next(iter(known)))
        known[digest] = org_id

    def find(self, authorization: bytes) -> UUID | None:
        """Whose a credential is; None when this process has not seen it."""
        return self._known.get(_digest(authorization))


def _digest(authorization: bytes) -> bytes:
    return blake2b(authorization, digest_size=16).digest()


class RequestCounter:
    """Counts the requests of one server, and flushes while it runs. Lives on its event loop."""

    def __init__(
        self,
        counts: RequestCounts,
        db: Database,
        operation_of: Callable[[str, str], str | None],
        seconds: float = FLUSH_SECONDS,
    ) -> None:
        """``operation_of`` names the operation of a path and a method."""
        self._counts, self._db, self._operation_of = counts, db, operation_of
        self._callers = RecentCallers()
        self._seconds = seconds
        self._flushing: asyncio.Task[None] | None = None

    def note(self, scope: Scope, authorization: bytes | None, status: int) -> None:
        """Counts an answered request, if it is known whose it was."""
        if authorization is None:
            return
        state = scope["state"]
        org_id = state.get("org_id")
        if org_id is not None:
            self._callers.remember(authorization, org_id)
            self._counts.add(org_id, state["operation_id"], limited=status == LIMITED)
        elif status == LIMITED and (org_id := self._callers.find(authorization)) is not None:
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            operation = self._operation_of(scope["path"], method)
            if operation is not None:
                self._counts.add(org_id, operation, limited=True)

    def start(self) -> None:
        """Begins to flush every few seconds."""
        self._flushing = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Flushes for the last time."""
        if self._flushing is not None:
            self._flushing.cancel()
        await asyncio.to_thread(self._counts.flush, self._db)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await asyncio.to_thread(self._counts.flush, self._db)


def prune(db: Database) -> None:
    """Forgets minutes and hours that are older than analytics can ask for, little by little."""
    now = utc_now()
    moments = {f"{unit}s": now - kept - timedelta(hours=1) for unit, kept in MOST.items()}
    pruned = PRUNED_AT_ONCE
    while pruned == PRUNED_AT_ONCE:
        with db.transaction() as session:
            pruned = session.scalar(PRUNE, {**moments, "most": PRUNED_AT_ONCE}) or 0
