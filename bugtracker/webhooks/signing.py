"""Signatures as the Standard Webhooks specification has them."""

import base64
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> bytes:
    """A random key of 256 bits."""
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """A key as receivers configure it."""
    return PREFIX + base64.b64encode(secret).decode()


def message_id(event_id: UUID, webhook_id: UUID) -> str:
    """The same for every attempt to tell one webhook of one event: receivers drop repetitions by
    it."""
    return f"msg_{event_id.hex}_{webhook_id.hex}"


def headers(
    message: str, now: datetime, body: bytes, secrets_in_force: Iterable[bytes]
) -> dict[str, str]:
    """What receivers verify: one signature for each secret, while two are in force."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((message.encode(), timestamp.encode(), body))
    signatures = (hmac.digest(secret, signed, "sha256") for secret in secrets_in_force)
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }
