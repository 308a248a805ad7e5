"""Webhooks and their deliveries as the contract shows them."""

from collections.abc import Iterable
from typing import Any

from bugtracker.models.webhook import status_of

Json = dict[str, Any]


def webhook(row: Any) -> Json:
    """``Webhook`` of the contract."""
    return {
        "id": row.id,
        "url": row.url,
        "description": row.description,
        "event_types": row.event_types,
        "filter": row.filter,
        "active": row.active,
        "status": status_of(row.active, row.suspended_at),
        "failing_since": row.failing_since,
        "suspended_at": row.suspended_at,
        "suspended_because": row.suspended_because,
        "created_by_id": row.created_by_id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }


def delivery(row: Any) -> Json:
    """``WebhookDelivery`` of the contract."""
    return {
        "event_id": row.id,
        "type": row.type,
        "state": row.state,
        "attempts": row.attempts,
        "next_attempt_at": row.due_at if row.leased_until is None else None,
        "last_attempt": None if row.number is None else attempt(row),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def delivery_with_attempts(row: Any, attempts: Iterable[Any]) -> Json:
    """``WebhookDeliveryDetail`` of the contract, from attempts with the newest first."""
    shown = [attempt(each) for each in attempts]
    return {**delivery(row), "latest_attempts": shown[::-1]}


def attempt(row: Any) -> Json:
    """``WebhookAttempt`` of the contract."""
    return {
        "number": row.number,
        "started_at": row.started_at,
        "duration_ms": row.duration_ms,
        "status": row.status,
        "error": row.error,
    }
