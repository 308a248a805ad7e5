"""Secrets: the keys made of the master key, and tokens.

That nothing secret lies about in the clear is proven in tests/proofs/test_secrets.py.
"""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bugtracker.launch import local_secret
from bugtracker.security.secrets import Keyring, new_token, token_hash

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
