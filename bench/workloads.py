"""What is asked: the requests of each workload, at random but the same in every run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.place import ISSUER
from bench.scene import Person, Scene
from bugtracker.launch import DEMO_PASSWORD

STATUSES = ("open", "in_progress", "resolved", "closed")
PRIORITIES = ("low", "medium", "high")
REQUESTS = 2000
"""So many different ones, over and over."""

NUMBER = "@@@@@@@@"
"""Replaced in each request by a number of its own (load.lua)."""
REFRESH_TOKEN = "&" * 43
"""Replaced by a refresh token; the answer brings the next one."""


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
    connections: int = 16
    least_seconds: float = 0
    """How long it takes until there is anything to see."""
    refreshes: bool = False
    """Whether each request needs a refresh token that was not used before."""

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


def _search(words: Callable[[Scene], list[str]]) -> Make:
    def make(scene: Scene, random: Random) -> Request:
        query = f"search={random.choice(words(scene))}&limit=20"
        path = f"/api/projects/{random.choice(scene.projects)}/issues?{query}"
        return Request("GET", path, _reader(scene, random).token)

    return make


def _first(scene: Scene, random: Random) -> Request:
    path = "/api/issues?sort=-created_at&limit=20"
    return Request("GET", path, _reader(scene, random).token)


def _deep(scene: Scene, random: Random) -> Request:
    path = f"/api/issues?sort=-created_at&limit=20&cursor={scene.deep_cursor}"
    return Request("GET", path, _reader(scene, random).token)


def _comments(scene: Scene, random: Random) -> Request:
    issue, _project = random.choice(scene.issues)
    return Request("GET", f"/api/issues/{issue}/comments", _reader(scene, random).token)


def _comment(scene: Scene, random: Random) -> Request:
    issue, _project = random.choice(scene.issues)
    body = json.dumps({"content": f"Seen again, for the {NUMBER}th time: *still* there."})
    return Request("POST", f"/api/issues/{issue}/comments", _reader(scene, random).token, body)


def _login(scene: Scene, random: Random) -> Request:
    body = json.dumps({"email": _reader(scene, random).email, "password": DEMO_PASSWORD})
    return Request("POST", "/api/auth/login", body=body)


def _refresh(scene: Scene, random: Random) -> Request:
    del scene, random
    return Request("POST", "/api/auth/refresh", body=json.dumps({"refresh_token": REFRESH_TOKEN}))


DAY = {
    _get: 30,
    _list: 30,
    _comments: 12,
    _search(lambda scene: scene.words.common): 8,
    _comment: 8,
    _patch: 7,
    _create: 5,
}
"""Percent of a mixed day."""


def _day(scene: Scene, random: Random) -> Request:
    [make] = random.choices(list(DAY), list(DAY.values()))
    return make(scene, random)


WORKLOADS = {
    each.name: each
    for each in (
        Workload("get", _get),
        Workload("list", _list),
        Workload("search-rare", _search(lambda scene: scene.words.rare)),
        Workload("search-common", _search(lambda scene: scene.words.common)),
        Workload("search-missing", _search(lambda scene: scene.words.missing)),
        Workload("create", _create, writes=True),
        Workload("patch", _patch, writes=True),
        Workload("first", _first, compared=False),
        Workload("deep", _deep, compared=False),
        Workload("comment", _comment, compared=False),
        # Sixteen would be more than may wait to be hashed, and be refused.
        Workload("login", _login, compared=False, connections=8, least_seconds=5),
        Workload("refresh", _refresh, compared=False, refreshes=True),
        Workload("day", _day, compared=False),
    )
}
