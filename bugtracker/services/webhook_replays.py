"""Sending again what was sent, or given up, before."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from bugtracker.context import Context
from bugtracker.errors import RequestInvalid, Violation
from bugtracker.messages import _
from bugtracker.models import Event, Webhook, WebhookDelivery
from bugtracker.security.scoping import not_found
from bugtracker.services import events
from bugtracker.services.webhooks import lock_webhook, require_active
from bugtracker.webhooks.fanout import Subscription, queue, wanted

MOST_REPLAYED = 1000

AGAIN = {
    "state": "pending",
    "failures": 0,
    "due_at": func.now(),
    "leased_until": None,
    "finished_at": None,
}
"""As it was when it was made, but for the attempts, which go on being counted."""


def replay_delivery(ctx: Context, webhook_id: str, event_id: str) -> None:
    """Sends one delivery again, now; one that waits needs to wait no more.

    One that is being sent this moment stays as it is. 404 when there is none, 409 unless the
    webhook is active.
    """
    webhook = lock_webhook(ctx, webhook_id)
    this_one = and_(*_of(webhook), WebhookDelivery.event_id == UUID(event_id))
    if ctx.session.scalar(select(WebhookDelivery.event_id).where(this_one)) is None:
        raise not_found("delivery")
    require_active(webhook)
    replayed = update(WebhookDelivery).where(this_one, _is_idle()).values(AGAIN)
    if ctx.session.execute(replayed.returning(WebhookDelivery.event_id)).all():
        _record(ctx, webhook, 1)


def replay_deliveries(ctx: Context, webhook_id: str) -> tuple[int, UUID | None]:
    """Sends again what is dead, or all events of a range, the oldest first: how many, and the
    event to go on behind, when there are more than one request may ask for."""
    webhook = lock_webhook(ctx, webhook_id)
    require_active(webhook)
    found = _dead(ctx, webhook) if ctx.body["what"] == "dead" else _events(ctx, webhook)
    ids = found[:MOST_REPLAYED]
    if ids:
        if ctx.body["what"] == "all":
            _make_missing(ctx, webhook, ids)
        chosen = WebhookDelivery.event_id.in_(ids)
        ctx.session.execute(
            update(WebhookDelivery).where(*_of(webhook), chosen, _is_idle()).values(AGAIN)
        )
        _record(ctx, webhook, len(ids))
    return len(ids), ids[-1] if len(found) > MOST_REPLAYED else None


def _of(webhook: Webhook) -> tuple[ColumnElement[bool], ...]:
    return (
        WebhookDelivery.org_id == webhook.org_id,
        WebhookDelivery.webhook_id == webhook.id,
    )


def _is_idle() -> ColumnElement[bool]:
    """Nobody is sending it this moment."""
    return or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= func.now())


def _dead(ctx: Context, webhook: Webhook) -> list[UUID]:
    statement = (
        select(WebhookDelivery.event_id)
        .where(*_of(webhook), WebhookDelivery.state == "dead")
        .where(*_in_range(ctx, WebhookDelivery.event_id, WebhookDelivery.created_at))
        .order_by(WebhookDelivery.event_id)
    )
    return list(ctx.session.scalars(statement.limit(MOST_REPLAYED + 1)))


def _events(ctx: Context, webhook: Webhook) -> list[UUID]:
    """Events that it is subscribed to now, whether or not it was sent them."""
    if not {"created_after", "after_event_id"} & ctx.body.keys():
        violation = Violation("required", _("is required with all"), pointer="/created_after")
        raise RequestInvalid(
            _("Say where to begin: created_after or after_event_id."), errors=[violation]
        )
    statement = (
        _wanted(webhook)
        .with_only_columns(Event.id)
        .where(Event.number.is_not(None), *_in_range(ctx, Event.id, Event.created_at))
        .order_by(Event.id)
    )
    return list(ctx.session.scalars(statement.limit(MOST_REPLAYED + 1)))


def _wanted(webhook: Webhook) -> Any:
    return wanted(
        Subscription(
            webhook.org_id, webhook.id, webhook.event_types, webhook.filter, webhook.created_at
        )
    )


def _in_range(ctx: Context, event_id: Any, created_at: Any) -> list[ColumnElement[bool]]:
    body, found = ctx.body, []
    if "after_event_id" in body:
        found.append(event_id > UUID(body["after_event_id"]))
    if "created_after" in body:
        found.append(created_at >= datetime.fromisoformat(body["created_after"]))
    if "created_before" in body:
        found.append(created_at < datetime.fromisoformat(body["created_before"]))
    return found


def _make_missing(ctx: Context, webhook: Webhook, ids: list[UUID]) -> None:
    queue(ctx.session, _wanted(webhook).where(Event.id.in_(ids)))


def _record(ctx: Context, webhook: Webhook, count: int) -> None:
    resource = events.Resource("webhook", webhook.id)
    events.record(ctx, "webhook.replayed", resource, {"deliveries": (None, count)})
