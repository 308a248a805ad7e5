"""Keys derived from the master secret, and what is encrypted or signed with them."""

import hashlib
import hmac
import secrets
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN_BYTES = 32
NONCE_BYTES = 12


def new_token() -> str:
    """A random URL-safe token of 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """What is stored of a token: its SHA-256. Enough, because tokens are random."""
    return hashlib.sha256(token.encode()).digest()


class Keyring:
    """Purpose-bound keys from the deployment's master secret (HKDF-SHA256)."""

    def __init__(self, master: str) -> None:
        self._master = master.encode()

    def _derive(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=b"bugtracker/" + purpose.encode()).derive(
            self._master
        )

    @cached_property
    def pepper(self) -> bytes:
        """Key of the password pre-hash."""
        return self._derive("password-pepper")

    @cached_property
    def _cursor_key(self) -> bytes:
        return self._derive("cursor")

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._derive("encryption"))

    def sign(self, message: bytes) -> bytes:
        """A 128-bit authentication tag for what clients hand back to us, such as cursors."""
        return hmac.digest(self._cursor_key, message, "sha256")[:16]

    @cached_property
    def _idempotency_key(self) -> bytes:
        return self._derive("idempotency")

    def fingerprint(self, message: bytes) -> bytes:
        """A 256-bit keyed hash of what may hold a password: useless to guess at without us."""
        return hmac.digest(self._idempotency_key, message, "sha256")

    @cached_property
    def _attempts_key(self) -> bytes:
        return self._derive("login-attempts")

    def attempts_key(self, who: str) -> bytes:
        """What stands for a person in the counter of logins: nobody can read names out of it."""
        return hmac.digest(self._attempts_key, who.encode(), "sha256")

    @cached_property
    def _throttle_key(self) -> bytes:
        return self._derive("rate-limits")

    def throttle_key(self, who: str) -> str:
        """What stands for a person or a mailbox in the counters of rate limits, in Redis too."""
        return hmac.digest(self._throttle_key, who.encode(), "sha256")[:16].hex()

    def encrypt(self, plain: bytes, associated: str) -> bytes:
        """AES-256-GCM; ``associated`` names what it belongs to, so it cannot be moved."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, associated.encode())

    def decrypt(self, sealed: bytes, associated: str) -> bytes:
        """Reverses :meth:`encrypt`. ValueError when key or associated data differ."""
        try:
            nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, body, associated.encode())
        except InvalidTag as error:
            raise ValueError("cannot decrypt: another BUGTRACKER_SECRET_KEY?") from error
