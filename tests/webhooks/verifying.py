"""What a receiver does with a message: the public library of Standard Webhooks."""

from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is by this secret, and the time is now."""
    try:
        Webhook(secret).verify(body.decode(), dict(headers))
    except WebhookVerificationError:
        return False
    return True
