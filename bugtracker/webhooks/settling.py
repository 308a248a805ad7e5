"""Writing down what came of an attempt: delivered, again later, or never; and how the endpoint is.

Times are the database's: workers whose clocks differ agree on what is due.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, literal, or_, select, update
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.models import Account, Member, Webhook, WebhookAttempt, WebhookDelivery
from bugtracker.models.webhook import Reason
from bugtracker.queries.people import has_account
from bugtracker.runtime import Runtime
from bugtracker.services.events import Origin, Resource, append
from bugtracker.webhooks.retries import pause
from bugtracker.webhooks.sending import Outcome

GONE = 410
MOST_MAILED = 50

Claim = Row[Any]
"""What claim_webhook_deliveries() gives: a delivery in hand, with its event and its secrets."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that was made."""

    claim: Claim
    outcome: Outcome
    started_at: datetime
    seconds: float


def settle(runtime: Runtime, attempt: Attempt) -> None:
    """Records an attempt and what follows from it, in one transaction."""
    claim, outcome = attempt.claim, attempt.outcome
    with runtime.db.transaction(org_id=claim.org_id) as session:
        session.add(_row(attempt))
        if outcome.accepted:
            _accepted(session, claim)
        else:
            _refused(session, claim, outcome)
            _note_failure(runtime, session, claim, outcome)


def _row(attempt: Attempt) -> WebhookAttempt:
    claim = attempt.claim
    return WebhookAttempt(
        org_id=claim.org_id,
        webhook_id=claim.webhook_id,
        event_id=claim.event_id,
        number=claim.attempt,
        started_at=attempt.started_at,
        duration_ms=round(attempt.seconds * 1000),
        status=attempt.outcome.status,
        error=attempt.outcome.error,
    )


def _this_delivery(claim: Claim) -> Any:
    return and_(
        WebhookDelivery.org_id == claim.org_id,
        WebhookDelivery.webhook_id == claim.webhook_id,
        WebhookDelivery.event_id == claim.event_id,
        WebhookDelivery.state == "pending",
    )


def _accepted(session: Session, claim: Claim) -> None:
    """Also where the lease ran out meanwhile: the receiver has it."""
    session.execute(
        update(WebhookDelivery)
        .where(_this_delivery(claim))
        .values(state="delivered", due_at=None, leased_until=None, finished_at=func.now())
    )
    session.execute(
        update(Webhook)
        .where(_this_webhook(claim), Webhook.failing_since.is_not(None))
        .values(failing_since=None)
    )


def _refused(session: Session, claim: Claim, outcome: Outcome) -> None:
    """Due again later, or dead. Nothing when another worker has it in hand by now."""
    failures = claim.failures + 1
    wait = None if outcome.status == GONE else pause(failures, outcome.retry_after)
    values: dict[str, Any] = {"failures": failures, "leased_until": None}
    if wait is None:
        values |= {"state": "dead", "due_at": None, "finished_at": func.now()}
    else:
        values["due_at"] = func.now() + timedelta(seconds=wait)
    session.execute(
        update(WebhookDelivery)
        .where(_this_delivery(claim), WebhookDelivery.attempts == claim.attempt)
        .values(values)
    )


def _this_webhook(claim: Claim) -> Any:
    return and_(Webhook.org_id == claim.org_id, Webhook.id == claim.webhook_id)


def _note_failure(runtime: Runtime, session: Session, claim: Claim, outcome: Outcome) -> None:
    session.execute(
        update(Webhook)
        .where(_this_webhook(claim), Webhook.failing_since.is_(None))
        .values(failing_since=func.now())
    )
    if outcome.status == GONE:
        _suspend(runtime, session, claim, "gone")
    else:
        _suspend(runtime, session, claim, "failing")


def _suspend(runtime: Runtime, session: Session, claim: Claim, reason: Reason) -> None:
    """Stops an endpoint that is gone or has failed for days: one of many attempts does it."""
    longest = timedelta(seconds=runtime.settings.webhook_suspend_seconds)
    is_due = or_(literal(reason == "gone"), Webhook.failing_since <= func.now() - longest)
    suspended = session.execute(
        update(Webhook)
        .where(_this_webhook(claim), Webhook.active, is_due)
        .values(
            active=False,
            suspended_at=func.now(),
            suspended_because=reason,
            updated_at=func.now(),
            version=Webhook.version + 1,
        )
        .returning(Webhook.version)
    ).scalar()
    if suspended is None:
        return
    resource = Resource("webhook", claim.webhook_id, suspended)
    changes = {"active": (True, False), "suspended_because": (None, reason)}
    append(session, Origin(utc_now(), claim.org_id), "webhook.suspended", resource, changes)
    for account_id in session.scalars(_managers(claim.org_id)):
        runtime.queue.defer(
            session,
            "mail.webhook_suspended",
            org_id=claim.org_id,
            webhook_id=claim.webhook_id,
            account_id=account_id,
        )


def _managers(org_id: UUID) -> Any:
    """The accounts of those who can do something about it."""
    return (
        select(Account.id)
        .join(Member, has_account())
        .where(
            Member.org_id == org_id,
            Member.role.in_(("owner", "admin")),
            Member.removed_at.is_(None),
            Account.is_active,
        )
        .order_by(Account.id)
        .limit(MOST_MAILED)
    )
