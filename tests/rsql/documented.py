"""The tables of docs/filters.md: what the tests make and run."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from bugtracker.ids import new_id
from bugtracker.importing.bulk import insert_rows
from bugtracker.models import Issue
from tests.world import Caller, Json, Org, World

PAGE = Path(__file__).parents[2] / "docs" / "filters.md"
AGO = re.compile(r"(?P<before>in )?(?P<count>\d+) (?P<unit>hour|day)s?(?P<after> ago)?")


def table(heading: str) -> list[list[str]]:
    """The rows of the page's table with this first column."""
    _, _, rest = PAGE.read_text().partition(f"\n| {heading} |")
    lines = rest.partition("\n\n")[0].rstrip().split("\n")[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> str:
    """What stands between the backquotes."""
    assert cell[0] == cell[-1] == "`", cell
    return cell[1:-1]


def words(cell: str) -> list[str]:
    """A list of keys or errors; nothing is the empty list."""
    return [part.strip() for part in cell.split(",") if part.strip()]


SELECTIONS = [(code(text), words(keys)) for text, keys in table("filter | selects")]
REFUSALS = [(code(text), words(errors)) for text, errors in table("filter | errors")]


def moment(cell: str, now: datetime) -> datetime:
    """``3 days ago``, ``in 3 days`` or a timestamp."""
    if match := AGO.fullmatch(cell):
        span = timedelta(**{match["unit"] + "s": int(match["count"])})
        return now - span if match["after"] else now + span
    return datetime.fromisoformat(cell).replace(tzinfo=UTC)


def day(cell: str, now: datetime) -> date | None:
    return moment(cell, now).date() if cell else None


@dataclass
class Scene:
    """The issues of the page in an organisation of their own."""

    org: Org
    caller: Caller
    projects: dict[str, Json]
    people: dict[str, UUID]

    def keys(self, path: str = "/api/issues", **query: Any) -> list[str]:
        response = self.caller.get(path, params={"limit": 100, **query})
        assert response.status_code == 200, response.text
        return [item["key"] for item in response.json()["items"]]


def make_scene(world: World) -> Scene:
    """The scene, as its manager sees it."""
    org = world.create_org()
    caller, now = org.manager, datetime.now(UTC)
    people = {name: world.import_person(org, name) for name in ("grace", "linus")}
    people["me"] = caller.id
    projects = {key: caller.create_project(key=key) for key in ("TLS", "OLD")}
    rows = [_issue(row, org, projects, people, now) for row in table("key | title")]
    with world.runtime.db.transaction(org_id=org.id) as session:
        insert_rows(session, Issue, rows)
    assert caller.delete(f"/api/projects/{projects['OLD']['id']}").status_code == 204
    return Scene(org, caller, projects, people)


def _issue(
    row: list[str], org: Org, projects: dict[str, Json], people: dict[str, UUID], now: datetime
) -> dict[str, Any]:
    key, title, status, priority, reporter, assignee, due, created = row
    project, number = key.split("-")
    return {
        "org_id": org.id,
        "id": new_id(),
        "project_id": UUID(projects[project]["id"]),
        "number": int(number),
        "title": title,
        "description": "",
        "status": status,
        "priority": priority,
        "reporter_id": people[reporter],
        "assignee_id": people[assignee] if assignee else None,
        "due_date": day(due, now),
        "created_at": moment(created, now),
        "updated_at": moment(created, now),
        "version": 1,
    }
