"""bugtracker keys"""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from bugtracker.clock import utc_now
from bugtracker.models import SigningKey
from bugtracker.runtime import Runtime
from bugtracker.security import keys as key_store
from bugtracker.security.keys import KEEP_RETIRED, KeyStore
from bugtracker.security.tokens import AccessClaims, issue_access_token
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
