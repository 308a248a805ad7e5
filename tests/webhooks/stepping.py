"""The worker's part of webhooks, done when a test says so."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, text, update

from bugtracker.audit.sealing import NUMBER
from bugtracker.models import WebhookCursor, WebhookDelivery
from bugtracker.runtime import Runtime
from bugtracker.webhooks.dispatch import Dispatcher
from bugtracker.webhooks.fanout import fan_out
from tests.world import Json, Org, made

WEBHOOKS = "/api/webhooks"


def subscribe(org: Org, url: str, *event_types: str, **fields: object) -> Json:
    """A webhook of the admin's, with its secret."""
    body = {"url": url, "event_types": event_types or ["*"], **fields}
    return made(org.admin.post(WEBHOOKS, body))


def path_of(created: Json) -> str:
    return f"{WEBHOOKS}/{created['webhook']['id']}"


def deliveries(org: Org, created: Json, **query: str) -> list[Json]:
    """The newest deliveries, oldest first."""
    response = org.admin.get(f"{path_of(created)}/deliveries", params=query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items[::-1]


class Stepper:
    """Numbers events, makes deliveries and sends those that are due."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def fan_out(self, org: Org) -> None:
        with self.runtime.db.read() as connection:
            connection.execute(NUMBER)
        fan_out(self.runtime, org.id)

    def deliver(self, org: Org, until: Callable[[], bool] | None = None) -> None:
        """Sends all of an organisation's deliveries that are due, once each; or only ``until``
        something holds."""
        self.fan_out(org)
        asyncio.run(self._deliver(org, until or (lambda: False)))

    async def _deliver(self, org: Org, until: Callable[[], bool]) -> None:
        dispatching = asyncio.create_task(Dispatcher(self.runtime).run())
        try:
            async with asyncio.timeout(30):
                while not until() and await asyncio.to_thread(self._at_work, org):  # noqa: ASYNC110 - a database's
                    await asyncio.sleep(0.02)
        finally:
            dispatching.cancel()
            await asyncio.gather(dispatching, return_exceptions=True)

    def _at_work(self, org: Org) -> bool:
        busy = or_(WebhookDelivery.due_at <= func.now(), WebhookDelivery.leased_until.is_not(None))
        with self.runtime.db.transaction(org_id=org.id) as session:
            count = select(func.count()).select_from(WebhookDelivery)
            return bool(session.scalar(count.where(WebhookDelivery.state == "pending", busy)))

    def make_due(self, org: Org) -> None:
        """As if the pauses between attempts were over."""
        with self.runtime.db.transaction(org_id=org.id) as session:
            waiting = update(WebhookDelivery).where(WebhookDelivery.state == "pending")
            session.execute(waiting.values(due_at=func.now(), leased_until=None))

    def age(self, org: Org, created: Json, by: timedelta) -> None:
        """As if the endpoint had begun to fail so much earlier."""
        values = {"by": by, "id": UUID(created["webhook"]["id"])}
        aged = text("UPDATE webhooks SET failing_since = failing_since - :by WHERE id = :id")
        with self.runtime.db.transaction(org_id=org.id) as session:
            session.execute(aged, values)

    def end_batch(self, org: Org) -> None:
        """As if the minute of a batch of logins were over."""
        with self.runtime.db.transaction(org_id=org.id) as session:
            session.execute(update(WebhookCursor).values(logins_due_at=func.now()))
