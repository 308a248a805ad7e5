"""Webhooks: list, create, read, change, delete; ping, rotate; deliveries and replays."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import item
from bugtracker.paging import paginate
from bugtracker.queries import webhooks as queries
from bugtracker.security.scoping import not_found
from bugtracker.serializers import webhooks as serializers
from bugtracker.services import webhook_replays as replays
from bugtracker.services import webhooks as service


def list_webhooks(ctx: Context) -> Reply:
    """GET /api/webhooks"""
    page = paginate(ctx, queries.listed(ctx), queries.SORTS)
    return page.reply(ctx, serializers.webhook)


def create_webhook(ctx: Context) -> Reply:
    """POST /api/webhooks"""
    webhook, secret = service.create_webhook(ctx)
    body = {"secret": secret, "webhook": serializers.webhook(webhook)}
    return Reply(body, status=201, headers={"Location": f"/api/webhooks/{webhook.id}"})


def get_webhook(ctx: Context, webhook_id: str) -> Reply:
    """GET /api/webhooks/{webhook_id}"""
    row = ctx.session.execute(queries.one(ctx, webhook_id)).one_or_none()
    if row is None:
        raise not_found("webhook")
    return item(row, serializers.webhook(row))


def update_webhook(ctx: Context, webhook_id: str) -> Reply:
    """PATCH /api/webhooks/{webhook_id}"""
    webhook = service.update_webhook(ctx, webhook_id)
    return item(webhook, serializers.webhook(webhook))


def delete_webhook(ctx: Context, webhook_id: str) -> Reply:
    """DELETE /api/webhooks/{webhook_id}"""
    service.delete_webhook(ctx, webhook_id)
    return Reply(status=204)


def rotate_webhook_secret(ctx: Context, webhook_id: str) -> Reply:
    """POST /api/webhooks/{webhook_id}/rotate-secret"""
    webhook, secret = service.rotate_secret(ctx, webhook_id)
    return Reply({"secret": secret, "webhook": serializers.webhook(webhook)})


def ping_webhook(ctx: Context, webhook_id: str) -> Reply:
    """POST /api/webhooks/{webhook_id}/test"""
    return _queued(ctx, webhook_id, str(service.ping(ctx, webhook_id)))


def list_webhook_deliveries(ctx: Context, webhook_id: str) -> Reply:
    """GET /api/webhooks/{webhook_id}/deliveries"""
    page = paginate(ctx, queries.deliveries(ctx, webhook_id), queries.DELIVERY_SORTS)
    if not page.rows and ctx.session.scalar(queries.exists(ctx, webhook_id)) is None:
        raise not_found("webhook")
    return page.reply(ctx, serializers.delivery)


def get_webhook_delivery(ctx: Context, webhook_id: str, event_id: str) -> Reply:
    """GET /api/webhooks/{webhook_id}/deliveries/{event_id}"""
    row = ctx.session.execute(queries.delivery(ctx, webhook_id, event_id)).one_or_none()
    if row is None:
        raise not_found("delivery")
    attempts = ctx.session.execute(queries.attempts(ctx, webhook_id, event_id))
    return Reply(serializers.delivery_with_attempts(row, attempts))


def replay_webhook_delivery(ctx: Context, webhook_id: str, event_id: str) -> Reply:
    """POST /api/webhooks/{webhook_id}/deliveries/{event_id}/replay"""
    replays.replay_delivery(ctx, webhook_id, event_id)
    return _queued(ctx, webhook_id, event_id)


def replay_webhook_deliveries(ctx: Context, webhook_id: str) -> Reply:
    """POST /api/webhooks/{webhook_id}/replay"""
    queued, more_after = replays.replay_deliveries(ctx, webhook_id)
    return Reply({"queued": queued, "more_after_event_id": more_after}, status=202)


def _queued(ctx: Context, webhook_id: str, event_id: str) -> Reply:
    """202 with the delivery, and where to see what becomes of it."""
    row = ctx.session.execute(queries.delivery(ctx, webhook_id, event_id)).one()
    location = f"/api/webhooks/{webhook_id}/deliveries/{event_id}"
    return Reply(serializers.delivery(row), status=202, headers={"Location": location})
