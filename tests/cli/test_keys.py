"""bugtracker keys"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from bugtracker.app import create_runtime
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.models import IdempotencyKey, SigningKey
from bugtracker.models.idempotency import response_place
from bugtracker.runtime import Runtime
from bugtracker.security import keys as key_store
from bugtracker.security.keys import KEEP_RETIRED, MAX_PUBLISHED, KeyStore
from bugtracker.security.tokens import AccessClaims, issue_access_token
from bugtracker.services import rotation
from bugtracker.settings import Settings
from tests.cli.conftest import Run
from tests.registering import get_me
from tests.world import World


@pytest.fixture
def http(world: World) -> httpx.Client:
    return world.client()


def rotated(run: Run) -> str:
    result = run("keys", "rotate")
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def published(http: httpx.Client) -> list[str]:
    return [key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]]


class TestRotate:
    def test_logs_nobody_out_and_both_keys_are_published(
        self, run: Run, world: World, runtime: Runtime, http: httpx.Client
    ) -> None:
        account_id, _ = world.create_account()
        session_id, before = world.open_session(account_id, None)
        old, new = runtime.keys.signing().kid, rotated(run)
        assert new != old
        # Another server signs with it already; ours learns of the key by its first token.
        other = KeyStore(runtime.db, runtime.keyring)
        assert other.signing().kid == new
        claims = AccessClaims(account_id, session_id, None)
        runtime.keys._loaded_at -= 1
        after = issue_access_token(other, runtime.settings, claims, utc_now())
        for token in (after, before):
            assert get_me(http, token).status_code == 200
        assert published(http)[:2] == [new, old]

    def test_a_running_server_signs_with_the_new_key_when_it_reads_the_keys_again(
        self, run: Run, world: World, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = runtime.keys.signing().kid, rotated(run)
        assert runtime.keys.signing().kid == old
        monkeypatch.setattr(key_store, "RELOAD_SECONDS", 0)
        assert runtime.keys.signing().kid == new

    def test_the_document_may_be_cached_for_minutes(self, run: Run, http: httpx.Client) -> None:
        rotated(run)
        response = http.get("/.well-known/jwks.json")
        assert response.headers["cache-control"] == "public, max-age=300"

    def test_prints_nothing_of_the_private_key(self, run: Run, runtime: Runtime) -> None:
        kid = rotated(run)
        assert kid in {key["kid"] for key in KeyStore(runtime.db, runtime.keyring).published()}
        assert len(kid) == 16

    def test_with_another_secret_key_it_changes_nothing(self, run: Run, runtime: Runtime) -> None:
        before = rotated(run)
        result = run("keys", "rotate", env={"BUGTRACKER_SECRET_KEY": uuid4().hex * 2})
        assert (result.exit_code, result.stdout) == (1, "")
        assert "BUGTRACKER_SECRET_KEY" in result.stderr
        assert KeyStore(runtime.db, runtime.keyring).signing().kid == before


class TestList:
    def test_shows_which_key_signs_and_until_when_the_others_verify(self, run: Run) -> None:
        kids = [rotated(run), rotated(run)]
        result = run("keys", "list")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0].startswith(kids[1])
        assert lines[0].endswith("signs")
        assert lines[1].startswith(kids[0])
        assert "verifies until" in lines[1]

    def test_says_which_verify_no_more(self, run: Run, runtime: Runtime) -> None:
        kid = rotated(run)
        rotated(run)
        long_ago = utc_now() - KEEP_RETIRED - timedelta(seconds=1)
        with runtime.db.transaction() as session:
            changed = update(SigningKey).where(SigningKey.kid == kid)
            session.execute(changed.values(retired_at=long_ago, created_at=long_ago))
        (line,) = [each for each in run("keys", "list").stdout.splitlines() if kid in each]
        assert line.endswith("verifies no more")


class TestRotateOften:
    """On a database of its own, because keys stay for a day."""

    @pytest.fixture
    def own(self, cluster: Cluster, own_database: str) -> dict[str, str]:
        return {"DATABASE_URL": cluster.api_url(own_database)}

    def test_is_refused_when_the_document_is_full_and_possible_when_the_oldest_ends(
        self, run: Run, own: dict[str, str], contract: Contract, settings: Settings
    ) -> None:
        schema = contract.document["components"]["schemas"]["Jwks"]
        assert schema["properties"]["keys"]["maxItems"] == MAX_PUBLISHED
        runtime = create_runtime(settings.model_copy(update={"database_url": secret_url(own)}))
        for _ in range(MAX_PUBLISHED):
            last = runtime.keys.rotate()
        refused = run("keys", "rotate", env=own)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert f"{MAX_PUBLISHED} keys verify" in refused.stderr
        keys = KeyStore(runtime.db, runtime.keyring).published()
        assert (len(keys), keys[0]["kid"]) == (MAX_PUBLISHED, last)
        with runtime.db.transaction() as session:
            oldest = select(func.min(SigningKey.retired_at)).scalar_subquery()
            this = update(SigningKey).where(SigningKey.retired_at == oldest)
            session.execute(this.values(retired_at=utc_now() - KEEP_RETIRED))
        assert run("keys", "rotate", env=own).exit_code == 0
        runtime.db.close()

    def test_at_once_is_no_more_than_the_document_holds(
        self, own: dict[str, str], settings: Settings
    ) -> None:
        runtime = create_runtime(settings.model_copy(update={"database_url": secret_url(own)}))
        for _ in range(MAX_PUBLISHED - 2):
            runtime.keys.rotate()

        def rotate(_: int) -> str | None:
            with suppress(ValueError):
                return KeyStore(runtime.db, runtime.keyring).rotate()
            return None

        with ThreadPoolExecutor(20) as pool:
            made = set(pool.map(rotate, range(20)))
        assert 1 <= len(made - {None}) <= 2
        published = [key["kid"] for key in KeyStore(runtime.db, runtime.keyring).published()]
        assert len(published) <= MAX_PUBLISHED
        assert published[0] in made
        runtime.db.close()


class TestRotateSecrets:
    NEW = "a new secret of more than 32 characters"

    @pytest.fixture
    def own(self, cluster: Cluster, own_database: str) -> dict[str, str]:
        url = cluster.api_url(own_database)
        return {"DATABASE_URL": url, "BUGTRACKER_ENCRYPTION_KEYS": self.NEW}

    def test_prints_what_it_did_and_nothing_of_a_key(self, run: Run, own: dict[str, str]) -> None:
        kid = run("keys", "rotate", env={**own, "BUGTRACKER_ENCRYPTION_KEYS": ""}).stdout.strip()
        result = run("keys", "rotate-secrets", env=own)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines() == [
            "signing_keys.private_key_encrypted: 1 encrypted again, 0 left",
            "two_factor.seed_encrypted: 0 encrypted again, 0 left",
            "partner_keys.secret_encrypted: 0 encrypted again, 0 left",
            "idempotency_keys.response_encrypted: 0 encrypted again, 0 left",
            "webhook_secrets.secret_encrypted: 0 encrypted again, 0 left",
        ]
        assert self.NEW not in result.output
        again = run("keys", "rotate-secrets", env=own)
        assert "private_key_encrypted: 0 encrypted again, 0 left" in again.stdout
        assert kid in run("keys", "list", env=own).stdout

    def test_says_what_cannot_be_decrypted_and_does_the_rest(
        self, run: Run, own: dict[str, str], settings: Settings
    ) -> None:
        lost = {**own, "BUGTRACKER_ENCRYPTION_KEYS": "a secret that nobody remembers any more"}
        run("keys", "rotate", env=lost)
        runtime = create_runtime(settings.model_copy(update={"database_url": secret_url(own)}))
        put_response(runtime)
        result = run("keys", "rotate-secrets", env=own)
        runtime.db.close()
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            "signing_keys.private_key_encrypted: 0 encrypted again, 1 left",
            "two_factor.seed_encrypted: 0 encrypted again, 0 left",
            "partner_keys.secret_encrypted: 0 encrypted again, 0 left",
            "idempotency_keys.response_encrypted: 1 encrypted again, 0 left",
            "webhook_secrets.secret_encrypted: 0 encrypted again, 0 left",
        ]
        assert "1 in signing_keys.private_key_encrypted cannot be decrypted" in result.stderr

    def test_says_when_somebody_still_writes_with_another_key(
        self, run: Run, own: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = create_runtime(settings.model_copy(update={"database_url": secret_url(own)}))
        batches = rotation._batches

        def written_too_late(*arguments: Any) -> Iterator[Any]:
            yield from batches(*arguments)
            put_response(runtime)

        monkeypatch.setattr(rotation, "_batches", written_too_late)
        result = run("keys", "rotate-secrets", env=own)
        runtime.db.close()
        assert result.exit_code == 1
        assert "response_encrypted were written under another key meanwhile" in result.stderr

    def test_of_a_database_without_our_schema_changes_nothing(
        self, run: Run, cluster: Cluster, own: dict[str, str], own_database: str
    ) -> None:
        engine = owner_engine(cluster.owner_url(own_database))
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        engine.dispose()
        result = run("keys", "rotate-secrets", env=own)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "run `bugtracker migrate`" in result.stderr

    def test_an_error_of_the_database_shows_no_row(
        self, run: Run, cluster: Cluster, own: dict[str, str], own_database: str
    ) -> None:
        run("keys", "rotate", env={**own, "BUGTRACKER_ENCRYPTION_KEYS": ""})
        engine = owner_engine(cluster.owner_url(own_database))
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE signing_keys ADD hidden text DEFAULT 'canary'"))
            rule = "ADD CONSTRAINT no_longer CHECK (length(private_key_encrypted) < 9) NOT VALID"
            connection.execute(text(f"ALTER TABLE signing_keys {rule}"))
        engine.dispose()
        result = run("keys", "rotate-secrets", env=own)
        assert result.exit_code == 1
        assert "no_longer" in result.stderr
        assert "canary" not in result.output

    def test_without_a_database_says_so(self, run: Run) -> None:
        nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
        result = run("keys", "rotate-secrets", env=nowhere)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "cannot reach the database" in result.stderr


def secret_url(environment: dict[str, str]) -> SecretStr:
    return SecretStr(environment["DATABASE_URL"])


def put_response(runtime: Runtime) -> None:
    """A stored answer under the keys of a runtime."""
    parts = {name: uuid4().bytes for name in ("scope_hash", "key_hash", "fingerprint")}
    now = utc_now()
    with runtime.db.transaction() as session:
        session.add(
            IdempotencyKey(
                **parts,
                claim_id=uuid4(),
                claimed_at=now,
                created_at=now,
                expires_at=now + timedelta(days=1),
                response_encrypted=runtime.keyring.encrypt(b"{}", response_place(**parts)),
            )
        )
