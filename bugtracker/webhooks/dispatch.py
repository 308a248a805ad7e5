"""The worker's part: takes deliveries that are due, sends them, writes down what came of it.

Many requests wait at the same time in one event loop; the database is spoken to in a few threads.
No endpoint has more than a handful of requests at a time, and one that fails has one: receivers
that hang delay nobody but themselves. Who is killed loses nothing: a lease runs out, and the next
worker sends again, with the same id.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Any, TypeVar

import structlog
from procrastinate import App
from sqlalchemy import select, text

from bugtracker.metrics import webhook_attempts, webhook_lag, webhook_turn, webhooks_in_flight
from bugtracker.models import Event
from bugtracker.models.webhook import secret_place
from bugtracker.runtime import Runtime
from bugtracker.webhooks import payload, signing
from bugtracker.webhooks.sending import Outcome, Resolve, Sender
from bugtracker.webhooks.settling import Attempt, Claim, settle
from bugtracker.webhooks.types import LOGIN, LOGIN_BATCH

MOST = 200
"""Requests at the same time. Each may hold 64 kB of an answer."""
PER_ENDPOINT = 8
CLAIMED_AT_ONCE = 100
DATABASE_THREADS = 4
LEASE_TIMEOUTS = 2.0
"""How many timeouts a lease lasts: the outcome has to be written down, too."""
IDLE_SECONDS = 0.5
BUSY_SECONDS = 0.02
"""Gathers what ends in the same moment before the database is asked for more."""

CLAIM = text("SELECT * FROM claim_webhook_deliveries(:most, :per_endpoint, :seconds)")

T = TypeVar("T")

log = structlog.get_logger()


class Dispatcher:
    """One for a worker."""

    def __init__(self, runtime: Runtime, resolve: Resolve | None = None) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._sender = Sender(
            timeout=settings.webhook_timeout_seconds,
            allow_local=settings.webhook_allow_local,
            resolve=resolve,
        )
        self._lease = ceil(settings.webhook_timeout_seconds * LEASE_TIMEOUTS) + 1
        self._threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="webhooks")

    async def run(self, _app: App | None = None) -> None:
        """Delivers until cancelled, then waits for what is in hand."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                claims = await self._claim(min(CLAIMED_AT_ONCE, MOST - len(tasks)))
                tasks |= {asyncio.create_task(self._deliver(claim)) for claim in claims}
                webhooks_in_flight.set(len(tasks))
                tasks -= await _rest(tasks)
        finally:
            webhooks_in_flight.set(0)
            if tasks:
                grace = self._runtime.settings.shutdown_grace
                await asyncio.wait(tasks, timeout=grace)
                for task in tasks:
                    task.cancel()

    async def _claim(self, most: int) -> Sequence[Claim]:
        return await self._in_thread(self._claim_now, most) if most > 0 else ()

    def _claim_now(self, most: int) -> Sequence[Claim]:
        webhook_turn.set_to_current_time()
        limits = {"most": most, "per_endpoint": PER_ENDPOINT, "seconds": self._lease}
        with self._runtime.db.read() as connection:
            return connection.execute(CLAIM, limits).all()

    async def _deliver(self, claim: Claim) -> None:
        try:
            headers, body = await self._in_thread(self._message, claim)
            began = time.monotonic()
            outcome = await self._sender.post(claim.url, headers, body)
            seconds = time.monotonic() - began
            _measure(claim, outcome)
            attempt = Attempt(claim, outcome, claim.claimed_at, seconds)
            await self._in_thread(settle, self._runtime, attempt)
        except Exception:
            # The lease runs out, and it is tried again.
            log.exception("webhook_delivery_failed", event=str(claim.event_id))

    def _message(self, claim: Claim) -> tuple[dict[str, str], bytes]:
        """Headers and body, signed with every secret that is in force."""
        place = secret_place(claim.org_id, claim.webhook_id)
        secrets = [self._runtime.keyring.decrypt(each, place) for each in claim.secrets or ()]
        body = payload.encoded(self._body(claim))
        message = signing.message_id(claim.event_id, claim.webhook_id)
        return signing.headers(message, claim.claimed_at, body, secrets), body

    def _body(self, claim: Claim) -> payload.Json:
        if claim.type != LOGIN_BATCH:
            return payload.message(claim.type, claim)
        logins = (
            select(Event.id, Event.account_id, Event.created_at)
            .where(
                Event.org_id == claim.org_id,
                Event.action == LOGIN,
                Event.number.between(claim.number, claim.last_number),
            )
            .order_by(Event.number)
        )
        with self._runtime.db.transaction(org_id=claim.org_id) as session:
            return payload.login_batch(claim, session.execute(logins))

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)


def _measure(claim: Claim, outcome: Outcome) -> None:
    webhook_attempts.labels("accepted" if outcome.accepted else "failed").inc()
    if claim.attempt == 1:
        webhook_lag.observe((claim.claimed_at - claim.created_at).total_seconds())


async def _rest(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Waits until one ends, or for a moment; returns those that have ended."""
    if not tasks:
        await asyncio.sleep(IDLE_SECONDS)
        return set()
    done, _ = await asyncio.wait(tasks, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if done:
        await asyncio.sleep(BUSY_SECONDS)
    return {task for task in tasks if task.done()}
