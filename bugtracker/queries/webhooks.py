"""Reading webhooks, and what became of their deliveries. Secrets are not among the columns."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, select, true

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Webhook, WebhookAttempt, WebhookDelivery
from bugtracker.paging import Sort, Sorts, time_sort

COLUMNS = (
    Webhook.id,
    Webhook.url,
    Webhook.description,
    Webhook.event_types,
    Webhook.filter,
    Webhook.active,
    Webhook.failing_since,
    Webhook.suspended_at,
    Webhook.suspended_because,
    Webhook.created_by_id,
    Webhook.created_at,
    Webhook.updated_at,
    Webhook.version,
)
SORTS = Sorts(
    by={"created_at": time_sort(Webhook.created_at)}, identity=Webhook.id, default="-created_at"
)

ATTEMPT_COLUMNS = (
    WebhookAttempt.number,
    WebhookAttempt.started_at,
    WebhookAttempt.duration_ms,
    WebhookAttempt.status,
    WebhookAttempt.error,
)
ATTEMPTS_SHOWN = 50

# An event's id tells the time it happened.
DELIVERY_SORTS = Sorts(
    by={"event_id": Sort(WebhookDelivery.event_id, UUID, unique=True)},
    identity=WebhookDelivery.event_id,
    default="-event_id",
)


def listed(ctx: Context) -> Rows:
    """The organisation's webhooks."""
    return select(*COLUMNS).where(Webhook.org_id == ctx.org_id, Webhook.deleted_at.is_(None))


def one(ctx: Context, webhook_id: str) -> Rows:
    """The webhook of this id in the caller's organisation."""
    return listed(ctx).where(Webhook.id == UUID(webhook_id))


def exists(ctx: Context, webhook_id: str) -> Rows:
    """A row, if there is such a webhook."""
    return one(ctx, webhook_id).with_only_columns(Webhook.id)


def _deliveries(ctx: Context, webhook_id: str) -> Rows:
    """The deliveries of a webhook that is there, each with its last attempt."""
    last = (
        select(*ATTEMPT_COLUMNS)
        .where(_its_attempts())
        .order_by(WebhookAttempt.number.desc())
        .limit(1)
        .lateral("last")
    )
    return (
        select(
            WebhookDelivery.event_id.label("id"),
            WebhookDelivery.webhook_id,
            WebhookDelivery.type,
            WebhookDelivery.state,
            WebhookDelivery.attempts,
            WebhookDelivery.due_at,
            WebhookDelivery.leased_until,
            WebhookDelivery.created_at,
            WebhookDelivery.finished_at,
            last,
        )
        .join(Webhook, _its_webhook())
        .outerjoin(last, true())
        .where(
            WebhookDelivery.org_id == ctx.org_id,
            WebhookDelivery.webhook_id == UUID(webhook_id),
            Webhook.deleted_at.is_(None),
        )
    )


def _its_webhook() -> ColumnElement[bool]:
    return and_(Webhook.org_id == WebhookDelivery.org_id, Webhook.id == WebhookDelivery.webhook_id)


def _its_attempts() -> ColumnElement[bool]:
    return and_(
        WebhookAttempt.org_id == WebhookDelivery.org_id,
        WebhookAttempt.webhook_id == WebhookDelivery.webhook_id,
        WebhookAttempt.event_id == WebhookDelivery.event_id,
    )


def deliveries(ctx: Context, webhook_id: str) -> Rows:
    """A webhook's deliveries, by ``state``."""
    statement = _deliveries(ctx, webhook_id)
    if (state := ctx.query["state"]) is not None:
        statement = statement.where(WebhookDelivery.state == state)
    return statement


def delivery(ctx: Context, webhook_id: str, event_id: str) -> Rows:
    """One delivery of a webhook."""
    return _deliveries(ctx, webhook_id).where(WebhookDelivery.event_id == UUID(event_id))


def attempts(ctx: Context, webhook_id: str, event_id: str) -> Rows:
    """The latest attempts of a delivery, the newest first."""
    return (
        select(*ATTEMPT_COLUMNS)
        .where(
            WebhookAttempt.org_id == ctx.org_id,
            WebhookAttempt.webhook_id == UUID(webhook_id),
            WebhookAttempt.event_id == UUID(event_id),
        )
        .order_by(WebhookAttempt.number.desc())
        .limit(ATTEMPTS_SHOWN)
    )
