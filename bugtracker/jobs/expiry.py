"""Clears away what expired: tokens, sessions, claims on usernames, idempotency keys, nonces,
webhook deliveries."""

from datetime import timedelta

from sqlalchemy import delete, func, text

from bugtracker.clock import utc_now
from bugtracker.models import (
    IdempotencyKey,
    LoginAttempts,
    OneTimeToken,
    PartnerNonce,
    RefreshToken,
    Session,
    Username,
)
from bugtracker.runtime import Runtime

KEPT_TOKENS = timedelta(days=1)
KEPT_SESSIONS = timedelta(days=30)
"""How long after its end somebody may still want to see a session of theirs."""
KEPT_NONCES = timedelta(hours=1)
"""In case the clock of this machine is ahead of those that judge timestamps."""
KEPT_DELIVERIES = timedelta(days=30)
DELIVERIES_AT_ONCE = 5000

PRUNE = text("SELECT prune_webhook_deliveries(:before, :most)")


def expire(runtime: Runtime) -> None:
    """Deletes what ended long enough ago. Safe to run at any time, by any number of workers."""
    now = utc_now()
    with runtime.db.transaction() as session:
        session.execute(delete(RefreshToken).where(RefreshToken.expires_at < now - KEPT_TOKENS))
        session.execute(delete(OneTimeToken).where(OneTimeToken.expires_at < now - KEPT_TOKENS))
        session.execute(delete(Session).where(Session.expires_at < now - KEPT_SESSIONS))
        session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at < now))
        session.execute(delete(PartnerNonce).where(PartnerNonce.expires_at < now - KEPT_NONCES))
        attempts_end = func.greatest(LoginAttempts.window_ends_at, LoginAttempts.locked_until)
        session.execute(delete(LoginAttempts).where(attempts_end < now))
        session.execute(delete(Username).where(Username.expires_at < now))
    _prune_deliveries(runtime)


def _prune_deliveries(runtime: Runtime) -> None:
    """Little by little: each statement has to end before its timeout."""
    values = {"before": utc_now() - KEPT_DELIVERIES, "most": DELIVERIES_AT_ONCE}
    pruned = DELIVERIES_AT_ONCE
    while pruned == DELIVERIES_AT_ONCE:
        with runtime.db.transaction() as session:
            pruned = session.scalar(PRUNE, values) or 0
