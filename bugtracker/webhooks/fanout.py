"""From events to deliveries: each numbered event once, in the order of the numbers.

One transaction makes the deliveries of a range of events and moves the organisation's cursor
behind it: whatever is killed, no event is passed over, and none gets a second delivery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.errors import FilterInvalid
from bugtracker.models import Event, Webhook, WebhookCursor, WebhookDelivery
from bugtracker.queries.webhook_filters import FIELDS
from bugtracker.rsql import Scope, compile_filter
from bugtracker.runtime import Runtime
from bugtracker.webhooks.types import LOGIN, LOGIN_BATCH, TYPES, actions_of, wants

BATCH = 1000
"""Events of one transaction."""
LOGINS_EVERY = timedelta(minutes=1)
LOGINS_AT_ONCE = 100

BACKLOGS = text("SELECT org_id FROM webhook_backlogs()")
COLUMNS = (
    "org_id", "webhook_id", "event_id", "type", "last_number", "state", "attempts", "failures",
    "due_at", "created_at",
)  # fmt: skip

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Subscription:
    """What decides which events a webhook gets: those since it was made."""

    org_id: UUID
    id: UUID
    event_types: Sequence[str]
    filter: str | None
    created_at: datetime


def fan_out_all(runtime: Runtime) -> None:
    """Makes the deliveries that are missing, in every organisation. Any worker may, any time."""
    with runtime.db.read() as connection:
        waiting = list(connection.scalars(BACKLOGS))
    for org_id in waiting:
        try:
            fan_out(runtime, org_id)
        except DBAPIError:
            # A statement that takes too long, a row that is locked: no other tenant's matter.
            log.exception("webhook_fan_out_failed", org_id=str(org_id))


def fan_out(runtime: Runtime, org_id: UUID) -> None:
    """Makes an organisation's deliveries up to its last numbered event."""
    advanced = True
    while advanced:
        with runtime.db.transaction(org_id=org_id) as session:
            advanced = _advance(session, org_id)


def _advance(session: Session, org_id: UUID) -> bool:
    """One range of events. Whether there may be more; not when another worker is at it."""
    cursor = session.scalar(
        select(WebhookCursor)
        .where(WebhookCursor.org_id == org_id)
        .with_for_update(skip_locked=True)
    )
    if cursor is None:
        return False
    upper = _upper(session, cursor)
    subscriptions = _subscriptions(session, org_id)
    for subscription in subscriptions:
        between = Event.number.between(cursor.number + 1, upper)
        queue(session, wanted(subscription).where(between))
    advanced, cursor.number = upper > cursor.number, upper
    return _batch_logins(session, cursor, subscriptions) or advanced


def _upper(session: Session, cursor: WebhookCursor) -> int:
    fresh = (
        select(Event.number)
        .where(Event.org_id == cursor.org_id, Event.number > cursor.number)
        .order_by(Event.number)
        .limit(BATCH)
        .subquery()
    )
    return session.scalar(select(func.max(fresh.c.number))) or cursor.number


def _subscriptions(session: Session, org_id: UUID) -> list[Subscription]:
    rows = session.execute(
        select(
            Webhook.org_id, Webhook.id, Webhook.event_types, Webhook.filter, Webhook.created_at
        ).where(Webhook.org_id == org_id, Webhook.active, Webhook.deleted_at.is_(None))
    )
    return [Subscription(*row) for row in rows]


def wanted(subscription: Subscription) -> Select[Any]:
    """The events that a subscription is to, as rows of deliveries that are due."""
    return _as_deliveries(subscription, case(dict(TYPES), value=Event.action), null()).where(
        Event.org_id == subscription.org_id,
        Event.action.in_(actions_of(subscription.event_types)),
        Event.created_at >= subscription.created_at,
        _condition(subscription),
    )


def _condition(subscription: Subscription) -> ColumnElement[bool]:
    """The subscription's filter. It was checked when it was written down; should a later version
    of ours not know it any more, nothing is sent rather than everything."""
    if subscription.filter is None:
        return literal(value=True)
    # Nothing in the language of these filters is relative to a person or a moment.
    scope = Scope(subscription.org_id, UUID(int=0), utc_now())
    try:
        return compile_filter(subscription.filter, FIELDS, scope)
    except FilterInvalid:
        log.error("webhook_filter_invalid", webhook=str(subscription.id))
        return literal(value=False)


def _as_deliveries(
    subscription: Subscription, name: ColumnElement[str], last_number: ColumnElement[Any]
) -> Select[Any]:
    now = func.now()
    return select(
        Event.org_id, literal(subscription.id), Event.id, name, last_number,
        literal("pending"), literal(0), literal(0), now, now,
    )  # fmt: skip


def queue(session: Session, rows: Select[Any]) -> None:
    """Adds deliveries; those that exist stay as they are."""
    statement = insert(WebhookDelivery).from_select(list(COLUMNS), rows)
    session.execute(statement.on_conflict_do_nothing())


def _batch_logins(
    session: Session, cursor: WebhookCursor, subscriptions: Sequence[Subscription]
) -> bool:
    """Puts logins into batches once the first has waited long enough; whether more are left."""
    now = session.scalars(select(func.now())).one()
    if cursor.logins_due_at is not None and cursor.logins_due_at > now:
        return False
    logins = _logins(session, cursor)
    if cursor.logins_due_at is None:
        if logins:
            cursor.logins_due_at = now + LOGINS_EVERY
        else:
            cursor.login_number = cursor.number
        return False
    if logins:
        _queue_batch(session, subscriptions, logins)
    full = len(logins) == LOGINS_AT_ONCE
    cursor.login_number = logins[-1].number if full else cursor.number
    cursor.logins_due_at = cursor.logins_due_at if full else None
    return full


def _logins(session: Session, cursor: WebhookCursor) -> Sequence[Any]:
    statement = select(Event.id, Event.number).where(
        Event.org_id == cursor.org_id,
        Event.action == LOGIN,
        Event.number > cursor.login_number,
        Event.number <= cursor.number,
    )
    return session.execute(statement.order_by(Event.number).limit(LOGINS_AT_ONCE)).all()


def _queue_batch(
    session: Session, subscriptions: Sequence[Subscription], logins: Sequence[Any]
) -> None:
    for subscription in subscriptions:
        if wants(subscription.event_types, LOGIN_BATCH):
            rows = _as_deliveries(subscription, literal(LOGIN_BATCH), literal(logins[-1].number))
            first = and_(Event.org_id == subscription.org_id, Event.id == logins[0].id)
            queue(session, rows.where(first))
