"""The keys that sign access tokens: in the database, private halves encrypted.

One key signs. A retired one still verifies, for as long as a token of it may live and not longer:
whoever got hold of it must not be able to use it for ever.
"""

import json
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.db import Database
from bugtracker.models import SigningKey
from bugtracker.models.account import private_key_place
from bugtracker.security.secrets import Keyring, new_token

RELOAD_SECONDS = 60
"""How old the list in memory may get; bounds what an unknown ``kid`` can make us ask."""

KEEP_RETIRED = timedelta(days=1)
"""How long a retired key verifies; ``access_token_seconds`` stays well below."""

MAX_PUBLISHED = 20
"""How many keys the JWKS document may hold, as the contract says."""


@dataclass(frozen=True)
class Key:
    """One key pair; ``jwk`` is what the world sees of it."""

    kid: str
    private: ec.EllipticCurvePrivateKey
    jwk: dict[str, Any]
    retired_at: datetime | None


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
            with self._db.transaction() as session:
                self._insert(session)
            self._load()
            key = self._current()
        if key is None:
            raise RuntimeError("no signing key")
        return key

    def find(self, kid: str) -> Key | None:
        """The key of this id, unless it was retired too long ago."""
        self._refresh(force=kid not in self._keys)
        key = self._keys.get(kid)
        if key is None or (key.retired_at and key.retired_at + KEEP_RETIRED < utc_now()):
            return None
        return key

    def published(self) -> list[dict[str, Any]]:
        """Public halves for the JWKS document, newest first."""
        self.signing()
        return [key.jwk for key in self._keys.values()]

    def rotate(self) -> str:
        """Makes a new signing key and retires the present one; its tokens stay good. Returns the
        id of the key that signs now.

        Other processes sign with the new key within RELOAD_SECONDS; they verify its tokens at
        once. ValueError, and nothing done, when the present keys cannot be decrypted, or when so
        many verify already that the document of keys could not hold another.
        """
        # With another master key this fails here, and not every server at its next reading.
        self._load()
        with self._db.transaction() as session:
            session.execute(
                update(SigningKey)
                .where(SigningKey.retired_at.is_(None))
                .values(retired_at=utc_now())
            )
            self._insert(session)
            # Two at once wait for each other at the key they retire; the second changes nothing.
            _require_room(session)
        self._load()
        return self.signing().kid

    def _current(self) -> Key | None:
        self._refresh()
        return next((key for key in self._keys.values() if key.retired_at is None), None)

    def _refresh(self, *, force: bool = False) -> None:
        limit = 1 if force else RELOAD_SECONDS
        if time.monotonic() - self._loaded_at > limit:
            with self._lock:
                # Whoever waited for the lock finds the work done.
                if time.monotonic() - self._loaded_at > limit:
                    self._read()

    def _load(self) -> None:
        with self._lock:
            self._read()

    def _read(self) -> None:
        statement = select(SigningKey.__table__).where(_verifies())
        with self._db.read() as connection:
            rows = connection.execute(statement.order_by(SigningKey.created_at.desc())).all()
        self._keys = {row.kid: self._key(row) for row in rows}
        self._loaded_at = time.monotonic()

    def _key(self, row: Any) -> Key:
        pem = self._keyring.decrypt(row.private_key_encrypted, private_key_place(row.kid))
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError(f"signing key {row.kid} is not an EC key")
        return Key(row.kid, private, row.public_jwk, row.retired_at)

    def _insert(self, session: Session) -> None:
        """Makes a key. Several processes may try at once: one wins by the index."""
        kid = new_token()[:16]
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        jwk = json.loads(ECAlgorithm.to_jwk(private.public_key()))
        session.execute(
            insert(SigningKey)
            .values(
                kid=kid,
                public_jwk={**jwk, "kid": kid, "use": "sig", "alg": "ES256"},
                private_key_encrypted=self._keyring.encrypt(pem, private_key_place(kid)),
                created_at=utc_now(),
            )
            .on_conflict_do_nothing()
        )


def _verifies() -> ColumnElement[bool]:
    return or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > utc_now() - KEEP_RETIRED)


def _require_room(session: Session) -> None:
    """Leaving one out would make tokens unverifiable that are good, so there is no other way."""
    oldest = func.min(SigningKey.retired_at) + KEEP_RETIRED
    count, room_at = session.execute(select(func.count(), oldest).where(_verifies())).one()
    if count > MAX_PUBLISHED:
        raise ValueError(
            f"{count - 1} keys verify tokens already, and more cannot be published; there is room"
            f" for another when the oldest ends, at {room_at:%Y-%m-%d %H:%M:%S} UTC"
        )
