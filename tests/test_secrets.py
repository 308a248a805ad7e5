"""Secrets: the keys made of the master key, and tokens.

That nothing secret lies about in the clear is proven in tests/proofs/test_secrets.py.
"""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.launch import local_secret
from bugtracker.logs import configure_logging
from bugtracker.security.secrets import Keyring, new_token, token_hash
from bugtracker.settings import Settings
from tests.world import World, made

MASTER = "a master key of more than 32 characters"


class TestKeyring:
    def test_gives_back_what_it_sealed(self) -> None:
        sealed = Keyring(MASTER).encrypt(b"seed", "accounts.totp/1")
        assert Keyring(MASTER).decrypt(sealed, "accounts.totp/1") == b"seed"

    @pytest.mark.parametrize(
        ("master", "place"),
        [(MASTER, "accounts.totp/2"), (MASTER, ""), (MASTER + "!", "accounts.totp/1")],
    )
    def test_opens_nothing_at_another_place_or_with_another_key(
        self, master: str, place: str
    ) -> None:
        sealed = Keyring(MASTER).encrypt(b"seed", "accounts.totp/1")
        with pytest.raises(ValueError, match="cannot decrypt"):
            Keyring(master).decrypt(sealed, place)

    def test_notices_every_changed_byte(self) -> None:
        keyring = Keyring(MASTER)
        sealed = keyring.encrypt(b"seed", "here")
        for place in range(len(sealed)):
            changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
            with pytest.raises(ValueError, match="cannot decrypt"):
                keyring.decrypt(changed, "here")

    def test_seals_the_same_differently_each_time(self) -> None:
        keyring = Keyring(MASTER)
        assert keyring.encrypt(b"seed", "here") != keyring.encrypt(b"seed", "here")

    def test_keys_for_different_purposes_differ(self) -> None:
        keyring = Keyring(MASTER)
        keys = {keyring.pepper, keyring._cursor_key, keyring._derive("encryption")}
        assert len(keys) == 3
        assert all(len(key) == 32 for key in keys)

    def test_signatures_differ_by_message_and_key(self) -> None:
        signed = Keyring(MASTER).sign(b"cursor")
        assert len(signed) == 16
        assert signed == Keyring(MASTER).sign(b"cursor")
        assert signed not in (
            Keyring(MASTER).sign(b"cursos"),
            Keyring(MASTER + "!").sign(b"cursor"),
        )


class TestTokens:
    def test_are_random_and_long(self) -> None:
        tokens = {new_token() for _ in range(1000)}
        assert len(tokens) == 1000
        assert all(len(base64.urlsafe_b64decode(token + "=")) == 32 for token in tokens)

    def test_are_kept_as_their_hash(self) -> None:
        assert token_hash("abc").hex().startswith("ba7816bf8f01cfea")


class TestLocalSecret:
    def test_is_made_once_and_for_its_owner_only(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(local_secret, [tmp_path / "local"] * 8))
        (secret,) = made
        assert len(secret) >= 32
        (file,) = (tmp_path / "local").iterdir()
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert local_secret(tmp_path / "local") == secret


class TestAtRest:
    """What somebody finds who reads the whole database, or all logs, after a session."""

    def test_no_api_key_can_be_read_anywhere(
        self, world: World, settings: Settings, cluster: Cluster, database: str, log: StringIO
    ) -> None:
        org = world.create_org()
        header = {"Idempotency-Key": uuid4().hex}
        body = {"name": "Canary", "scopes": ["projects.read"]}
        try:
            keys = [made(org.admin.post("/api/api-keys", body, headers=header))]
            path = f"/api/api-keys/{keys[0]['api_key']['id']}"
            keys.append(made(org.admin.post(f"{path}/rotate", {})))
            for key in keys:
                with world.with_key(key) as program:
                    assert program.get("/api/projects").status_code == 200
                    assert program.get("/api/projects", params={"q": key["key"]}).is_error
                    assert program.get(f"/api/projects/{uuid4()}").is_error
            org.admin.delete(path)
        finally:
            configure_logging(settings)
        kept, logged = everything_in(cluster.admin_url(database)), log.getvalue()
        for key in keys:
            secret = key["key"].split("_")[2]
            assert key["api_key"]["prefix"] in kept
            assert f'"via_key":"{key["api_key"]["id"]}"' in logged
            for text_of_it in (secret, secret.encode().hex(), secret[:43]):
                assert text_of_it not in kept
                assert text_of_it not in logged

    @pytest.fixture
    def log(self, settings: Settings) -> StringIO:
        stream = StringIO()
        configure_logging(settings.model_copy(update={"log_level": "DEBUG"}), stream)
        return stream


def everything_in(url: str) -> str:
    """Every row of every table, as text."""
    engine = owner_engine(url)
    with engine.connect() as connection:
        tables = connection.scalars(
            text(
                "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
                " WHERE table_schema IN ('public', 'jobs') AND table_type = 'BASE TABLE'"
            )
        ).all()
        assert len(tables) > 15
        rows = [
            row for t in tables for row in connection.scalars(text(f"SELECT t::text FROM {t} t"))
        ]
    engine.dispose()
    return "\n".join(rows)
