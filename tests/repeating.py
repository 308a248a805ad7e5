"""Requests sent again with the same Idempotency-Key, and what the database keeps of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, select, update

from bugtracker.models import IdempotencyKey
from bugtracker.runtime import Runtime
from tests.registering import PASSWORD, Newcomer
from tests.world import Caller, Json

KEY, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
IN_USE, REUSED = "idempotency_key_in_use", "idempotency_key_reused"


def new_key() -> dict[str, str]:
    """The header with a key that nobody used before."""
    return {KEY: str(uuid4())}


def create_issue(caller: Caller, project: Json, key: dict[str, str], **body: Any) -> httpx.Response:
    body = {"title": "The tide table is wrong", **body}
    return caller.post(f"/api/projects/{project['id']}/issues", body, headers=key)


def login(person: Newcomer, key: dict[str, str], password: str = PASSWORD) -> httpx.Response:
    body = {"email": person.email, "password": password}
    return person.http.post("/api/auth/login", json=body, headers=key)


def count_issues(caller: Caller, project: Json) -> int:
    page = caller.get(f"/api/projects/{project['id']}/issues", params={"page": 1}).json()
    return int(page["total"])


def is_replay(response: httpx.Response) -> bool:
    return str(response.headers.get(REPLAYED)) == "true"


def rows_made_by(runtime: Runtime, work: Callable[[], object]) -> list[IdempotencyKey]:
    """The keys that are there after the work and were not before."""
    with runtime.db.transaction() as session:
        before = set(session.scalars(select(IdempotencyKey.key_hash)))
    work()
    with runtime.db.transaction() as session:
        rows = session.scalars(select(IdempotencyKey)).all()
    return [row for row in rows if row.key_hash not in before]


def change_row(runtime: Runtime, row: IdempotencyKey, **values: object) -> None:
    """Changes a key behind the API's back."""
    with runtime.db.transaction() as session:
        this = IdempotencyKey.key_hash == row.key_hash
        session.execute(update(IdempotencyKey).where(this).values(**values))


def age_claims(runtime: Runtime, seconds: float) -> None:
    """Lets time pass for every claim that is at work."""
    claimed = IdempotencyKey.claimed_at - timedelta(seconds=seconds)
    at_work = IdempotencyKey.response_encrypted.is_(None)
    with runtime.db.transaction() as session:
        session.execute(update(IdempotencyKey).where(at_work).values(claimed_at=claimed))


def count_claims(runtime: Runtime) -> int:
    """How many keys are at work."""
    at_work = IdempotencyKey.response_encrypted.is_(None)
    with runtime.db.transaction() as session:
        statement = select(func.count()).select_from(IdempotencyKey).where(at_work)
        return int(session.execute(statement).scalar_one())
