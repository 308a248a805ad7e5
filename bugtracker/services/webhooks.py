"""Making, changing and ending webhooks, and what is asked of them: a ping, another secret."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import FilterInvalid, WebhookLimitReached, WebhookNotActive
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import Event, Webhook, WebhookCursor, WebhookDelivery, WebhookSecret
from bugtracker.models.webhook import secret_place, status_of
from bugtracker.queries.webhook_filters import FIELDS
from bugtracker.rsql import Scope, compile_filter
from bugtracker.security.scoping import lock_organisation, not_found
from bugtracker.services import events
from bugtracker.services.changes import apply_patch
from bugtracker.webhooks import signing
from bugtracker.webhooks.addresses import check_url
from bugtracker.webhooks.types import PING, PING_ACTION

MOST_WEBHOOKS = 20
DEFAULT_OVERLAP_SECONDS = 86_400
RECORDED = ("url", "description", "event_types", "filter", "active")

# In contracts and models None is a value; these are what a new webhook has unless told otherwise.
DEFAULTS: Mapping[str, Any] = {"description": "", "filter": None, "active": True}


def create_webhook(ctx: Context) -> tuple[Webhook, str]:
    """A new subscription, to what happens from now on, and its secret, shown this once.

    422 for a URL that nothing may be sent to, 409 for one too many.
    """
    fields = {**DEFAULTS, **ctx.body}
    _check(ctx, fields)
    _require_room(ctx)
    webhook = Webhook(
        org_id=ctx.org_id,
        id=new_id(),
        **fields,
        created_by_id=ctx.user_id,
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    ctx.session.add(webhook)
    ctx.session.flush()
    _begin_cursor(ctx)
    secret = _add_secret(ctx, webhook)
    changes = events.created(**{name: getattr(webhook, name) for name in RECORDED})
    events.record(ctx, "webhook.created", _resource(webhook), _recorded(changes))
    return webhook, secret


def _check(ctx: Context, fields: Mapping[str, Any]) -> None:
    if "url" in fields:
        check_url(fields["url"], allow_local=ctx.runtime.settings.webhook_allow_local)
    if fields.get("filter") is not None:
        _check_filter(ctx, fields["filter"])


def _check_filter(ctx: Context, text: str) -> None:
    try:
        compile_filter(text, FIELDS, Scope(ctx.org_id, ctx.user_id, ctx.now))
    except FilterInvalid as refused:
        # It stands in the body here, not in the query.
        moved = [replace(each, parameter=None, pointer="/filter") for each in refused.errors]
        raise FilterInvalid(refused.detail, errors=moved) from None


def _require_room(ctx: Context) -> None:
    """One at a time is counted in an organisation."""
    lock_organisation(ctx)
    count = select(func.count()).where(Webhook.org_id == ctx.org_id, Webhook.deleted_at.is_(None))
    if (ctx.session.scalar(count) or 0) >= MOST_WEBHOOKS:
        raise WebhookLimitReached(
            _(
                "An organisation has {limit} webhooks at most; delete one, or subscribe one of them"
                " to more types.",
                limit=MOST_WEBHOOKS,
            )
        )


def _begin_cursor(ctx: Context) -> None:
    """The first webhook of an organisation: its events are followed from here on."""
    last = select(func.coalesce(func.max(Event.number), 0)).where(Event.org_id == ctx.org_id)
    number = ctx.session.scalars(last).one()
    cursor = {"org_id": ctx.org_id, "number": number, "login_number": number}
    ctx.session.execute(insert(WebhookCursor).values(cursor).on_conflict_do_nothing())


def _add_secret(ctx: Context, webhook: Webhook) -> str:
    secret = signing.new_secret()
    place = secret_place(webhook.org_id, webhook.id)
    ctx.session.add(
        WebhookSecret(
            org_id=webhook.org_id,
            webhook_id=webhook.id,
            id=new_id(),
            secret_encrypted=ctx.runtime.keyring.encrypt(secret, place),
            created_at=ctx.now,
        )
    )
    return signing.shown(secret)


def _resource(webhook: Webhook) -> events.Resource:
    return events.Resource("webhook", webhook.id, webhook.version)


def _recorded(changes: events.Changes) -> events.Changes:
    """What the audit log gets to see: path and query of a URL often hold the receiver's secrets."""
    return {
        field: (_origin(old), _origin(new)) if field == "url" else (old, new)
        for field, (old, new) in changes.items()
    }


def _origin(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def lock_webhook(ctx: Context, webhook_id: str) -> Webhook:
    """The webhook, locked for changing it. 404 when there is none."""
    webhook = ctx.session.scalar(
        select(Webhook)
        .where(
            Webhook.org_id == ctx.org_id,
            Webhook.id == UUID(webhook_id),
            Webhook.deleted_at.is_(None),
        )
        .with_for_update()
    )
    if webhook is None:
        raise not_found("webhook")
    return webhook


def update_webhook(ctx: Context, webhook_id: str) -> Webhook:
    """Applies a merge patch. Activating ends a suspension; what waits is then sent."""
    webhook = lock_webhook(ctx, webhook_id)
    check_if_match(ctx, webhook, webhook.id)
    _check(ctx, ctx.body)
    changes = apply_patch(webhook, ctx.body)
    if "url" in changes or "active" in changes:
        webhook.failing_since = None
    if "active" in changes:
        webhook.suspended_at = webhook.suspended_because = None
        if webhook.active:
            _hurry(ctx, webhook)
    if changes:
        webhook.touch(ctx.now)
        events.record(ctx, "webhook.updated", _resource(webhook), _recorded(changes))
    return webhook


def _hurry(ctx: Context, webhook: Webhook) -> None:
    """What waits for its next attempt waits no longer."""
    waiting = (WebhookDelivery.state == "pending", WebhookDelivery.leased_until.is_(None))
    here = (WebhookDelivery.org_id == ctx.org_id, WebhookDelivery.webhook_id == webhook.id)
    ctx.session.execute(update(WebhookDelivery).where(*here, *waiting).values(due_at=func.now()))


def delete_webhook(ctx: Context, webhook_id: str) -> None:
    """Ends the webhook at once, and wipes its secrets. What is on its way may still arrive."""
    webhook = lock_webhook(ctx, webhook_id)
    check_if_match(ctx, webhook, webhook.id)
    webhook.deleted_at = ctx.now
    webhook.touch(ctx.now)
    here = (WebhookSecret.org_id == ctx.org_id, WebhookSecret.webhook_id == webhook.id)
    ctx.session.execute(
        update(WebhookSecret).where(*here).values(secret_encrypted=None, expires_at=ctx.now)
    )
    ctx.session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.org_id == ctx.org_id,
            WebhookDelivery.webhook_id == webhook.id,
            WebhookDelivery.state == "pending",
        )
        .values(state="dead", due_at=None, leased_until=None, finished_at=ctx.now)
    )
    events.record(ctx, "webhook.deleted", _resource(webhook), {"deleted": (False, True)})


def rotate_secret(ctx: Context, webhook_id: str) -> tuple[Webhook, str]:
    """A new secret, shown this once. Those before it sign beside it until the overlap ends."""
    webhook = lock_webhook(ctx, webhook_id)
    overlap = timedelta(seconds=ctx.body.get("overlap_seconds", DEFAULT_OVERLAP_SECONDS))
    end = ctx.now + overlap
    ctx.session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.org_id == ctx.org_id, WebhookSecret.webhook_id == webhook.id)
        .values(expires_at=func.least(func.coalesce(WebhookSecret.expires_at, end), end))
    )
    secret = _add_secret(ctx, webhook)
    webhook.touch(ctx.now)
    changes = {"overlap_ends_at": (None, end)}
    events.record(ctx, "webhook.secret_rotated", _resource(webhook), changes)
    return webhook, secret


def ping(ctx: Context, webhook_id: str) -> UUID:
    """Queues a message that tells nothing; returns the id of its event. 409 unless active."""
    webhook = lock_webhook(ctx, webhook_id)
    require_active(webhook)
    event_id = events.record(ctx, PING_ACTION, _resource(webhook), {})
    ctx.session.add(
        WebhookDelivery(
            org_id=ctx.org_id,
            webhook_id=webhook.id,
            event_id=event_id,
            type=PING,
            state="pending",
            attempts=0,
            failures=0,
            due_at=func.now(),
            created_at=ctx.now,
        )
    )
    ctx.session.flush()
    return event_id


def require_active(webhook: Webhook) -> None:
    """409 unless what is queued now is sent now."""
    status = status_of(webhook.active, webhook.suspended_at)
    if status != "active":
        raise WebhookNotActive(
            _("This webhook is {status}; set active to true first.", status=status)
        )
