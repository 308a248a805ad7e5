"""What a receiver does with a message, by the text of the Standard Webhooks specification.

To hold us to the public library instead, ``Webhook(secret).verify(body, headers)`` takes the place
of the body of :func:`verify`; nothing else knows how signatures are made.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

TOLERANCE_SECONDS = 5 * 60


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is by this secret, and the time is now."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    if abs(time.time() - int(headers["webhook-timestamp"])) > TOLERANCE_SECONDS:
        return False
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = (each.partition(",") for each in headers["webhook-signature"].split(" "))
    return any(v == "v1" and hmac.compare_digest(mac, expected) for v, _, mac in given)
