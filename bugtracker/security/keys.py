"""The keys that sign access tokens: in the database, private halves encrypted."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from bugtracker.clock import utc_now
from bugtracker.db import Database
from bugtracker.models import SigningKey
from bugtracker.security.secrets import Keyring, new_token

RELOAD_SECONDS = 60
"""How old the list in memory may get; bounds what an unknown ``kid`` can make us ask."""


@dataclass(frozen=True)
class Key:
    """One key pair; ``jwk`` is what the world sees of it."""

    kid: str
    private: ec.EllipticCurvePrivateKey
    jwk: dict[str, Any]
    retired: bool


class KeyStore:
    """All keys of the deployment, read again when a token names one we do not know."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._loaded_at = float("-inf")

    def signing(self) -> Key:
        """The key that signs now; made on first use."""
        key = self._current()
        if key is None:
            self._create()
            self._load()
            key = self._current()
        if key is None:
            raise RuntimeError("no signing key")
        return key

    def find(self, kid: str) -> Key | None:
        """The key of this id, retired or not."""
        self._refresh(force=kid not in self._keys)
        return self._keys.get(kid)

    def published(self) -> list[dict[str, Any]]:
        """Public halves for the JWKS document, newest first."""
        self._refresh()
        return [key.jwk for key in self._keys.values()]

    def _current(self) -> Key | None:
        self._refresh()
        return next((key for key in self._keys.values() if not key.retired), None)

    def _refresh(self, *, force: bool = False) -> None:
        age = time.monotonic() - self._loaded_at
        if age > RELOAD_SECONDS or (force and age > 1):
            self._load()

    def _load(self) -> None:
        with self._lock, self._db.read() as connection:
            rows = connection.execute(
                select(SigningKey.__table__).order_by(SigningKey.created_at.desc())
            ).all()
            self._keys = {row.kid: self._key(row) for row in rows}
            self._loaded_at = time.monotonic()

    def _key(self, row: Any) -> Key:
        pem = self._keyring.decrypt(row.private_key_encrypted, _associated(row.kid))
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError(f"signing key {row.kid} is not an EC key")
        return Key(row.kid, private, row.public_jwk, row.retired_at is not None)

    def _create(self) -> None:
        """Makes the first key. Several processes may try at once: one wins by the index."""
        kid = new_token()[:16]
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        jwk = json.loads(ECAlgorithm.to_jwk(private.public_key()))
        with self._db.transaction() as session:
            session.execute(
                insert(SigningKey)
                .values(
                    kid=kid,
                    public_jwk={**jwk, "kid": kid, "use": "sig", "alg": "ES256"},
                    private_key_encrypted=self._keyring.encrypt(pem, _associated(kid)),
                    created_at=utc_now(),
                )
                .on_conflict_do_nothing()
            )


def _associated(kid: str) -> str:
    return f"signing_keys.private_key/{kid}"
