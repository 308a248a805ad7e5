"""How a secret is sealed at rest, under one of several keys.

An envelope is a version byte, four bytes that say which key, a nonce, and AES-256-GCM's output.
Version and key id are authenticated with the rest. Before there were envelopes, a sealed value was
nonce and output under the master's key; those still open. docs/decisions/0015-encryption-keys.md
has the reasons.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
KEY_ID_BYTES = 4
HEADER_BYTES = len(VERSION) + KEY_ID_BYTES
NONCE_BYTES = 12


def derive(secret: bytes, purpose: str, length: int = 32) -> bytes:
    """A key for one purpose (HKDF-SHA256)."""
    return HKDF(SHA256(), length, salt=None, info=b"bugtracker/" + purpose.encode()).derive(secret)


@dataclass(frozen=True)
class _Key:
    header: bytes
    """What every envelope of this key begins with."""
    cipher: AESGCM

    @classmethod
    def of(cls, secret: bytes) -> "_Key":
        key_id = derive(secret, "envelope-key-id", KEY_ID_BYTES)
        return cls(VERSION + key_id, AESGCM(derive(secret, "envelope-key")))


class Sealer:
    """Seals under the first of ``keys``, opens what any of them sealed, or ``master`` ever did."""

    def __init__(self, keys: Sequence[bytes], master: bytes) -> None:
        # The same secret twice is one key; the master is the last resort, or the only one.
        self._keys = [_Key.of(secret) for secret in dict.fromkeys([*keys, master])]
        self._before_envelopes = AESGCM(derive(master, "encryption"))

    @property
    def current_header(self) -> bytes:
        """What everything begins with that is sealed under the first key."""
        return self._keys[0].header

    def seal(self, plain: bytes, associated: str) -> bytes:
        """An envelope that opens with the same ``associated`` only."""
        key, nonce = self._keys[0], secrets.token_bytes(NONCE_BYTES)
        return key.header + nonce + key.cipher.encrypt(nonce, plain, _bound(key, associated))

    def open(self, sealed: bytes, associated: str) -> bytes:
        """Reverses :meth:`seal`. ValueError, which names no secret, when it cannot."""
        for key in self._keys:
            if sealed.startswith(key.header):
                plain = _decrypt(key.cipher, sealed[HEADER_BYTES:], _bound(key, associated))
                if plain is not None:
                    return plain
        # Also where it looks like an envelope: a nonce of old may begin like one.
        plain = _decrypt(self._before_envelopes, sealed, associated.encode())
        if plain is None:
            raise ValueError(self._reason(sealed))
        return plain

    def _reason(self, sealed: bytes) -> str:
        header = sealed[:HEADER_BYTES]
        if header.startswith(VERSION) and header not in [key.header for key in self._keys]:
            return (
                f"cannot decrypt: needs a key with the id {header[1:].hex()}, which neither"
                " BUGTRACKER_ENCRYPTION_KEYS nor BUGTRACKER_SECRET_KEY has"
            )
        return "cannot decrypt: damaged, moved, or made with another BUGTRACKER_SECRET_KEY"


def _bound(key: _Key, associated: str) -> bytes:
    return key.header + associated.encode()


def _decrypt(cipher: AESGCM, body: bytes, associated: bytes) -> bytes | None:
    nonce, output = body[:NONCE_BYTES], body[NONCE_BYTES:]
    if len(nonce) < NONCE_BYTES:
        return None
    try:
        return cipher.decrypt(nonce, output, associated)
    except InvalidTag:
        return None
