"""Marks of a place that clients hand back to us: opaque to them, and made by nobody else."""

import base64
import hmac

from bugtracker.security.secrets import Keyring

TAG_LENGTH = 16


def sealed(keyring: Keyring, scope: bytes, payload: bytes) -> str:
    """The payload with a tag that holds for this scope only, in letters for a URL."""
    tag = keyring.sign(scope + payload)[:TAG_LENGTH]
    return base64.urlsafe_b64encode(tag + payload).decode().rstrip("=")


def opened(keyring: Keyring, scope: bytes, cursor: str) -> bytes | None:
    """What was sealed for this scope; None when the cursor is not one of ours for it."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        return None
    tag, payload = raw[:TAG_LENGTH], raw[TAG_LENGTH:]
    right = keyring.sign(scope + payload)[:TAG_LENGTH]
    return payload if hmac.compare_digest(tag, right) else None
