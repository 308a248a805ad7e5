"""Keys derived from the master secret, and what is encrypted or signed with them."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from functools import cached_property

from bugtracker.security.envelope import Sealer, derive

TOKEN_BYTES = 32


def new_token() -> str:
    """A random URL-safe token of 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """What is stored of a token: its SHA-256. Enough, because tokens are random."""
    return hashlib.sha256(token.encode()).digest()


class Keyring:
    """Purpose-bound keys from the deployment's master secret, and the keys that encrypt at rest.

    ``encryption_keys``: the first encrypts, all decrypt. Without any the master encrypts; it
    always decrypts.
    """

    def __init__(self, master: str, encryption_keys: Sequence[str] = ()) -> None:
        self._master = master.encode()
        self._sealer = Sealer([key.encode() for key in encryption_keys], self._master)

    def _derive(self, purpose: str) -> bytes:
        return derive(self._master, purpose)

    @cached_property
    def pepper(self) -> bytes:
        """Key of the password pre-hash."""
        return self._derive("password-pepper")

    @cached_property
    def _cursor_key(self) -> bytes:
        return self._derive("cursor")

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
    def _erased_key(self) -> bytes:
        return self._derive("erased")

    def erased_hash(self, message: bytes) -> bytes:
        """A 256-bit keyed hash of what was erased: it can be known again, and not be guessed."""
        return hmac.digest(self._erased_key, message, "sha256")

    @cached_property
    def _attempts_key(self) -> bytes:
        return self._derive("login-attempts")

    def attempts_key(self, who: str) -> bytes:
        """What stands for a person in the counter of logins: nobody can read names out of it."""
        return hmac.digest(self._attempts_key, who.encode(), "sha256")

    @cached_property
    def _seal_key(self) -> bytes:
        return self._derive("audit-seal")

    @cached_property
    def seal_key_id(self) -> bytes:
        """Names the key of :meth:`seal`, and tells nothing about it."""
        return self._derive("audit-seal-id")[:8]

    def seal(self, message: bytes) -> bytes:
        """A 256-bit keyed hash: what we once wrote down cannot be forged without the key."""
        return hmac.digest(self._seal_key, message, "sha256")

    @cached_property
    def _throttle_key(self) -> bytes:
        return self._derive("rate-limits")

    def throttle_key(self, who: str) -> str:
        """What stands for a person or a mailbox in the counters of rate limits, in Redis too."""
        return hmac.digest(self._throttle_key, who.encode(), "sha256")[:16].hex()

    def encrypt(self, plain: bytes, associated: str) -> bytes:
        """AES-256-GCM; ``associated`` names what it belongs to, so it cannot be moved."""
        return self._sealer.seal(plain, associated)

    def decrypt(self, sealed: bytes, associated: str) -> bytes:
        """Reverses :meth:`encrypt`. ValueError without the key or with another ``associated``."""
        return self._sealer.open(sealed, associated)

    @property
    def current_header(self) -> bytes:
        """What everything begins with that is encrypted under the first key."""
        return self._sealer.current_header

    def needs_rotation(self, sealed: bytes) -> bool:
        """Whether it is encrypted under another key than the first."""
        return not sealed.startswith(self.current_header)
