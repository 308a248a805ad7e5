"""What is asked: the requests of each workload, at random but the same in every run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.place import ISSUER
from bench.scene import Person, Scene

STATUSES = ("open", "in_progress", "resolved", "closed")
PRIORITIES = ("low", "medium", "high")
REQUESTS = 2000
"""So many different ones, over and over."""

NUMBER = "@@@@@@@@"
"""Replaced in each request by a number of its own (load.lua)."""


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    token: str | None = None
    body: str | None = None

    @property
    def text(self) -> str:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {ISSUER.partition('//')[2]}"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if self.body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", self.body or ""])


Make = Callable[[Scene, Random], Request]


@dataclass(frozen=True)
class Workload:
    """Requests of one kind; ``compared`` are those that the references answer as well."""

    name: str
    make: Make
    compared: bool = True
    writes: bool = False

    def requests(self, scene: Scene) -> list[Request]:
        """The same for the same scene."""
        random = Random(self.name)
        return [self.make(scene, random) for _ in range(REQUESTS)]


def _reader(scene: Scene, random: Random) -> Person:
    return random.choice(scene.developers)


def _get(scene: Scene, random: Random) -> Request:
    issue, _project = random.choice(scene.issues)
    return Request("GET", f"/api/issues/{issue}", _reader(scene, random).token)


def _list(scene: Scene, random: Random) -> Request:
    status = random.choice(STATUSES)
    second = f"priority={random.choice(PRIORITIES)}"
    if random.random() < 0.25:
        second = f"assignee={random.choice(scene.developers).id}"
    query = f"status={status}&{second}&sort=-created_at&limit=20"
    path = f"/api/projects/{random.choice(scene.projects)}/issues?{query}"
    return Request("GET", path, _reader(scene, random).token)


def _create(scene: Scene, random: Random) -> Request:
    body = {
        "title": f"Reported {NUMBER}",
        "description": "It happens **always**:\n\n1. Open it\n2. Wait\n\n`nothing` is shown.",
        "priority": random.choice(PRIORITIES),
        "due_date": "2030-01-31",
    }
    path = f"/api/projects/{random.choice(scene.projects)}/issues"
    return Request("POST", path, _reader(scene, random).token, json.dumps(body))


def _patch(scene: Scene, random: Random) -> Request:
    issue, _project = random.choice(scene.issues)
    body = {"title": f"Renamed {NUMBER}", "priority": random.choice(PRIORITIES)}
    token = random.choice(scene.managers).token
    return Request("PATCH", f"/api/issues/{issue}", token, json.dumps(body))


WORKLOADS = {
    each.name: each
    for each in (
        Workload("get", _get),
        Workload("list", _list),
        Workload("create", _create, writes=True),
        Workload("patch", _patch, writes=True),
    )
}
