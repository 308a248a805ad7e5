"""Random histories of issues, and in plain Python the statistics of a project with them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import ceil, floor
from uuid import UUID

from bugtracker.clock import midnight
from bugtracker.ids import new_id
from bugtracker.importing.bulk import insert_rows
from bugtracker.importing.rows import timestamp
from bugtracker.models import Event, Issue
from bugtracker.models.issue import PRIORITIES, STATUSES, TRANSITIONS, Status
from tests.world import Json, Org

Step = tuple[datetime, Status]


@dataclass
class History:
    """An issue: the steps that count, in order of time, and the rows that say so."""

    steps: list[Step]
    issue: Json
    events: list[Json] = field(default_factory=list)

    def status_at(self, moment: datetime) -> Status | None:
        """Its status just before a moment."""
        return next((status for at, status in reversed(self.steps) if at < moment), None)


class Histories:
    """Makes histories of a project, all of them before ``now``."""

    def __init__(self, org: Org, project: Json, now: datetime, seed: int) -> None:
        self._org, self._project_id, self._now = org, UUID(project["id"]), now
        self._random = random.Random(seed)
        self._people = [org.developer.id, org.manager.id, None]

    def make(self, count: int) -> list[History]:
        """So many, in the database."""
        histories = [self._history(number) for number in range(1, count + 1)]
        with self._org.world.runtime.db.transaction(org_id=self._org.id) as session:
            insert_rows(session, Issue, [history.issue for history in histories])
            insert_rows(session, Event, [row for history in histories for row in history.events])
        return histories

    def _history(self, number: int) -> History:
        at = self._now - timedelta(seconds=self._random.uniform(1, 60 * 86400))
        history = History([(at, "open")], self._issue(number, at))
        if self._random.random() < 0.2:
            at = self._import(history, at)
        else:
            changes = {"title": [None, "A leak"], "status": [None, "open"]}
            history.events.append(self._event(history, "issue.created", 1, at, changes))
        self._go_on(history, at)
        history.issue["status"] = history.steps[-1][1]
        return history

    def _import(self, history: History, at: datetime) -> datetime:
        """Open, or closed at a known or at an unknown time; when it was."""
        imported_at = at + (self._now - at) * self._random.random()
        changes = {"status": [None, "open"]}
        if (kind := self._random.randrange(3)) < 2:
            changes["status"] = [None, "closed"]
            closed_at = at + (imported_at - at) * self._random.random()
            if kind:
                changes["closed_at"] = [None, timestamp(closed_at) or ""]
            history.steps.append((closed_at if kind else imported_at, "closed"))
        else:
            history.steps.append((imported_at, "open"))
        history.events.append(self._event(history, "issue.imported", 1, imported_at, changes))
        return imported_at

    def _go_on(self, history: History, at: datetime) -> None:
        version, status = 1, history.steps[-1][1]
        while self._random.random() < 0.8:
            # Sometimes the next one began a moment before: it waited.
            begun = at + timedelta(seconds=self._random.choice([-1, 0, 60, 86400, 9 * 86400]))
            if begun >= self._now:
                return
            version, new = version + 1, self._random.choice(TRANSITIONS[status])
            changes = {"status": [status, new], "title": ["A", "B"]}
            history.events.append(self._event(history, "issue.updated", version, begun, changes))
            at, status = max(history.steps[-1][0], begun), new
            history.steps.append((at, status))
            other = {"title": ["B", "A"]}
            version += 1
            history.events.append(self._event(history, "issue.updated", version, at, other))

    def _issue(self, number: int, at: datetime) -> Json:
        return {
            "org_id": self._org.id,
            "id": new_id(),
            "project_id": self._project_id,
            "number": number,
            "title": "A leak",
            "description": "",
            "priority": self._random.choice(PRIORITIES),
            "reporter_id": self._org.manager.id,
            "assignee_id": self._random.choice(self._people),
            "created_at": at,
            "updated_at": at,
            "version": 99,
        }

    def _event(
        self, history: History, action: str, version: int, at: datetime, changes: Json
    ) -> Json:
        return {
            "id": new_id(),
            "org_id": self._org.id,
            "action": action,
            "resource_type": "issue",
            "resource_id": history.issue["id"],
            "resource_version": version,
            "project_id": self._project_id,
            "issue_id": history.issue["id"],
            "changes": changes,
            "created_at": at,
        }


def buckets(histories: Sequence[History], first: date, last: date, days: int) -> list[Json]:
    """What ``buckets`` must be; days at whose end nothing more had happened are as today."""
    found = []
    while first <= last:
        until = min(last, first + timedelta(days=days - 1))
        begins, ends = midnight(first), midnight(until + timedelta(days=1))
        moments = [(at, s) for each in histories for at, s in each.steps[1:] if begins <= at < ends]
        states = [each.status_at(ends) for each in histories]
        closed = states.count("closed")
        found.append(
            {
                "from": str(first),
                "to": str(until),
                "created": sum(begins <= each.steps[0][0] < ends for each in histories),
                "closed": sum(status == "closed" for _, status in moments),
                "reopened": sum(_reopened(each, begins, ends) for each in histories),
                "open_at_end": len(states) - states.count(None) - closed,
                "closed_at_end": closed,
            }
        )
        first += timedelta(days=days)
    return found


def _reopened(history: History, begins: datetime, ends: datetime) -> int:
    pairs = zip(history.steps, history.steps[1:], strict=False)
    return sum(old == "closed" and begins <= at < ends for (_, old), (at, _) in pairs)


def time_in_status(histories: Sequence[History], begins: datetime, ends: datetime) -> list[Json]:
    """What ``time_in_status`` must be."""
    times: dict[str, list[timedelta]] = {status: [] for status in STATUSES}
    for history in histories:
        limits = [*(at for at, _ in history.steps[1:]), ends]
        spent: dict[str, timedelta] = {}
        for (since, status), until in zip(history.steps, limits, strict=True):
            overlap = min(until, ends) - max(since, begins)
            if overlap > timedelta():
                spent[status] = spent.get(status, timedelta()) + overlap
        for status, time in spent.items():
            times[status].append(time)
    return [
        {
            "status": status,
            "issues": len(found),
            "total_seconds": floor(sum(found, timedelta()).total_seconds()),
            **_quantiles(found),
        }
        for status, found in times.items()
    ]


def closing_times(
    histories: Sequence[History], begins: datetime, ends: datetime
) -> tuple[Json, Json]:
    """What ``lead_time`` and ``cycle_time`` must be."""
    lead, cycle = [], []
    for history in histories:
        steps = [step for step in history.steps if step[0] < ends]
        if steps and steps[-1][1] == "closed" and steps[-1][0] >= begins:
            closed_at = steps[-1][0]
            lead.append(closed_at - steps[0][0])
            started = [at for at, status in steps if status == "in_progress"]
            cycle += [closed_at - started[0]] if started else []
    return (
        {"issues": len(lead), **_quantiles(lead)},
        {"issues": len(cycle), **_quantiles(cycle)},
    )


def _quantiles(times: list[timedelta]) -> Json:
    ordered = sorted(times)
    return {
        f"p{percent}_seconds": (
            floor(ordered[ceil(len(ordered) * percent / 100) - 1].total_seconds())
            if ordered
            else None
        )
        for percent in (50, 90)
    }
