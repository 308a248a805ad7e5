"""What the database keeps of requests with an Idempotency-Key, and for how long."""

import base64
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.jobs.expiry import expire
from bugtracker.models import IdempotencyKey
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import Keyring
from bugtracker.settings import Settings
from tests.behind import employee
from tests.registering import Newcomer, tokens_of
from tests.repeating import (
    IN_USE,
    KEY,
    change_row,
    create_issue,
    is_replay,
    login,
    new_key,
    rows_made_by,
)
from tests.world import PASSWORD, Json, Org, World, made, refused

CANARY = "canary-of-a-key-"


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return employee(world, org, anonymous, settings)


@pytest.fixture
def kept(runtime: Runtime, person: Newcomer) -> tuple[IdempotencyKey, Json]:
    """What the database keeps of a login, and the tokens it gave."""
    tokens: list[Json] = []
    key = {KEY: f"{CANARY}{uuid4()}"}
    (row,) = rows_made_by(runtime, lambda: tokens.append(tokens_of(login(person, key))))
    return row, tokens[0]


class TestStored:
    def test_shows_nothing_of_the_request_or_the_answer(
        self, kept: tuple[IdempotencyKey, Json], person: Newcomer
    ) -> None:
        row, tokens = kept
        stored = b"".join(
            (row.scope_hash, row.key_hash, row.fingerprint, row.response_encrypted or b"")
        )
        for canary in (CANARY.encode(), PASSWORD.encode(), person.email.encode(), b"access_token"):
            assert canary not in stored
            assert base64.b64encode(canary)[:-4] not in stored
        assert all(str(token).encode() not in stored for token in tokens.values())

    def test_answer_cannot_be_moved_to_another_key(
        self, runtime: Runtime, kept: tuple[IdempotencyKey, Json], person: Newcomer
    ) -> None:
        row, _ = kept
        other_key = new_key()
        (other,) = rows_made_by(runtime, lambda: login(person, other_key))
        change_row(runtime, other, response_encrypted=row.response_encrypted)
        assert login(person, other_key).status_code == 500

    def test_fingerprints_depend_on_the_secret_key(self) -> None:
        one, other = Keyring("a" * 32), Keyring("b" * 32)
        assert one.fingerprint(b"body") == Keyring("a" * 32).fingerprint(b"body")
        assert one.fingerprint(b"body") != other.fingerprint(b"body")

    def test_is_forgotten_after_a_day(self, runtime: Runtime, org: Org, project: Json) -> None:
        key = new_key()
        (row,) = rows_made_by(runtime, lambda: create_issue(org.member, project, key))
        assert row.expires_at - row.created_at == timedelta(hours=24)
        change_row(runtime, row, expires_at=utc_now() - timedelta(seconds=1))
        response = create_issue(org.member, project, key, title="Another day")
        assert made(response)["number"] == 2
        assert not is_replay(response)

    def test_is_cleared_away_by_the_expiry_job(
        self, runtime: Runtime, org: Org, project: Json
    ) -> None:
        rows = rows_made_by(
            runtime, lambda: [create_issue(org.member, project, new_key()) for _ in range(2)]
        )
        change_row(runtime, rows[0], expires_at=utc_now() - timedelta(seconds=1))
        assert rows_made_by(runtime, lambda: expire(runtime)) == []
        with runtime.db.transaction() as session:
            left = set(session.scalars(select(IdempotencyKey.key_hash)))
        assert {row.key_hash for row in rows} & left == {rows[1].key_hash}

    def test_without_an_answer_is_in_use(self, runtime: Runtime, org: Org, project: Json) -> None:
        key = new_key()
        (row,) = rows_made_by(runtime, lambda: create_issue(org.member, project, key))
        change_row(runtime, row, response_encrypted=None)
        response = create_issue(org.member, project, key)
        refused(response, 409, IN_USE)
        assert response.headers["retry-after"] == "1"
