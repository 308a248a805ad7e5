"""Who asks for what: the ids of a prepared database, and access tokens of its people."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from pydantic import SecretStr

from bench.place import ISSUER, SLUG, Place
from bugtracker.app import create_runtime
from bugtracker.db import enter_tenant
from bugtracker.ids import new_id
from bugtracker.models import RefreshToken, Session
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import new_token, token_hash
from bugtracker.security.tokens import AccessClaims, issue_access_token
from bugtracker.settings import Settings

TOKEN_SECONDS = 43_200
MISSING = ["zyzzyva", "quixotry", "syzygial"]
RARE, COMMON = 20, 5
"""How many words of a kind are looked for."""

WORDS = """
SELECT word FROM ts_stat('SELECT document FROM issue_documents')
WHERE word ~ '^[a-z]{3,}$' AND to_tsvector('english', word) @@ word::tsquery
ORDER BY ndoc, word
"""


@dataclass(frozen=True)
class Person:
    """A member and their access token."""

    id: str
    email: str
    role: int
    token: str


@dataclass(frozen=True)
class Words:
    """What is looked for, by how many issues have it."""

    rare: list[str]
    common: list[str]
    missing: list[str]


@dataclass(frozen=True)
class Scene:
    """What the requests of all workloads are made of."""

    org_id: str
    projects: list[str]
    issues: list[tuple[str, str]]
    """(id, project) of some of them, at random."""
    developers: list[Person]
    managers: list[Person]
    words: Words
    public_jwk: dict[str, Any]
    deep_cursor: str = ""
    """Of all issues, where half of them (at most 100,000) come before."""


def settings_of(place: Place) -> Settings:
    """As the servers have them, where they matter for tokens."""
    return Settings(
        database_url=SecretStr(place.cluster.api_url()),
        secret_key=SecretStr(place.secret_key),
        public_url=ISSUER,
        access_token_seconds=TOKEN_SECONDS,
    )


@contextmanager
def _runtime(place: Place) -> Iterator[Runtime]:
    runtime = create_runtime(settings_of(place))
    try:
        yield runtime
    finally:
        runtime.db.close()


def set_up(place: Place) -> Scene:
    """Reads the ids and starts sessions: one for each person."""
    with place.connect() as connection:
        [(org_id,)] = _rows(connection, "SELECT id FROM organisations WHERE slug = %s", SLUG)
        projects = _rows(
            connection, "SELECT id FROM projects WHERE org_id = %s ORDER BY id", org_id
        )
        issues = _rows(
            connection,
            "SELECT id, project_id FROM issues WHERE org_id = %s ORDER BY md5(id::text) LIMIT 5000",
            org_id,
        )
        people = _rows(
            connection,
            "SELECT a.id, a.email, m.role FROM members m JOIN accounts a ON a.id = m.account_id"
            " WHERE m.org_id = %s ORDER BY a.id",
            org_id,
        )
        words = [word for (word,) in _rows(connection, WORDS)]
    with _runtime(place) as runtime:
        known = [
            Person(str(id_), email, role, _session(runtime, org_id, id_)[0])
            for id_, email, role in people
        ]
        public = runtime.keys.published()[0]
    return Scene(
        str(org_id),
        [str(each) for (each,) in projects],
        [(str(issue), str(project)) for issue, project in issues],
        _with_role(known, (3,)),
        _with_role(known, (0, 1, 2)),
        Words(words[:RARE], words[-COMMON:], MISSING),
        public,
    )


def _rows(connection: psycopg.Connection, statement: LiteralString, *values: Any) -> list[Any]:
    return connection.execute(statement, values).fetchall()


def refresh_tokens(place: Place, scene: Scene, count: int) -> list[str]:
    """Of so many new sessions."""
    with _runtime(place) as runtime:
        people = [UUID(person.id) for person in scene.developers]
        return [
            _session(runtime, UUID(scene.org_id), people[number % len(people)])[1]
            for number in range(count)
        ]


def _with_role(people: Iterable[Person], ranks: tuple[int, ...]) -> list[Person]:
    return [person for person in people if person.role in ranks]


def _session(runtime: Runtime, org_id: UUID, account_id: UUID) -> tuple[str, str]:
    """The access and refresh token of a new session: logging in would hash a password each."""
    now, refresh_token = datetime.now(UTC), new_token()
    ends = now + timedelta(days=1)
    started = Session(
        id=new_id(), account_id=account_id, org_id=org_id, created_at=now, last_used_at=now,
        expires_at=ends,
    )  # fmt: skip
    with runtime.db.transaction() as session:
        enter_tenant(session, None, account_id)
        session.add(started)
        session.flush()
        session.add(_refresh_token(started, refresh_token))
    claims = AccessClaims(account_id, started.id, org_id)
    return issue_access_token(runtime.keys, runtime.settings, claims, now), refresh_token


def _refresh_token(session: Session, token: str) -> RefreshToken:
    return RefreshToken(
        id=new_id(), session_id=session.id, token_hash=token_hash(token),
        created_at=session.created_at, expires_at=session.expires_at,
    )  # fmt: skip
