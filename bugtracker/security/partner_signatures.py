"""What a partner signs of a request, and how. docs/provisioning.md tells partners the same."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

KEY, TIMESTAMP, NONCE, SIGNATURE = (
    f"bugtracker-{name}" for name in ("key", "timestamp", "nonce", "signature")
)
"""Names of the headers."""

WINDOW_SECONDS = 300
"""How much a timestamp may differ from our clock, either way."""

_TIMESTAMP = re.compile(r"[0-9]{10}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SIGNATURE = re.compile(r"v1=[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Signed:
    """The four headers of a signed request, each of the right form."""

    key: str
    timestamp: int
    """Unix seconds."""
    nonce: str
    signature: str

    def is_timely(self, now: datetime) -> bool:
        """Whether the timestamp is within the window."""
        return abs(now.timestamp() - self.timestamp) <= WINDOW_SECONDS

    def is_by(self, secret: str, method: str, target: str, body: bytes) -> bool:
        """Whether the signature is that of the request with this secret, in constant time."""
        right = signature(secret, method, target, str(self.timestamp), self.nonce, body)
        return hmac.compare_digest(right, self.signature)


def read(headers: Mapping[str, str]) -> Signed | None:
    """The headers of a signed request; None when one is missing or of another form."""
    key, timestamp, nonce, given = (
        headers.get(name, "") for name in (KEY, TIMESTAMP, NONCE, SIGNATURE)
    )
    well_formed = (
        _TIMESTAMP.fullmatch(timestamp) and _NONCE.fullmatch(nonce) and _SIGNATURE.fullmatch(given)
    )
    return Signed(key, int(timestamp), nonce, given) if well_formed else None


def signature(
    secret: str, method: str, target: str, timestamp: str, nonce: str, body: bytes
) -> str:
    """``v1=`` and HMAC-SHA256 in hex. ``target`` is the path as sent, with ``?`` and the query if
    there is one; ``body`` the bytes as sent, maybe none."""
    digest = hashlib.sha256(body).hexdigest()
    signed = "\n".join(("bugtracker-v1", method, target, timestamp, nonce, digest))
    return "v1=" + hmac.digest(secret.encode(), signed.encode(), "sha256").hex()
