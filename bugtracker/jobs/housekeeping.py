"""What a worker does beside its jobs, every few seconds.

These are loops and not periodic jobs: a job leaves a row behind each time, and a queue in trouble
could not run the job that is to repair it. Several workers may do this at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status

from bugtracker.audit.sealing import seal_all
from bugtracker.clock import utc_now
from bugtracker.jobs import provisioning
from bugtracker.jobs.retry import MAX_ATTEMPTS
from bugtracker.metrics import chore_failures
from bugtracker.runtime import Runtime
from bugtracker.webhooks.dispatch import Dispatcher
from bugtracker.webhooks.fanout import fan_out_all

STALLED_AFTER_SECONDS = 30.0
"""A worker beats every ten seconds; silent for so long, it counts as dead."""

Chore = Callable[[App], Awaitable[None]]

log = structlog.get_logger()


async def repeat(seconds: float, action: Chore, app: App) -> None:
    """Runs an action again and again, with pauses, until cancelled; a failure is logged.

    Whatever the failure: a loop that ended would not be missed for days.
    """
    while True:
        try:
            await action(app)
        except Exception:
            chore_failures.labels(getattr(action, "__qualname__", "other")).inc()
            log.exception("housekeeping_failed", action=repr(action))
        await asyncio.sleep(seconds)


async def number_events(app: App) -> None:
    """Gives committed events their number; one index look-up when there are none."""
    await app.connector.execute_query_async("SELECT number_events()")


def in_thread(function: Callable[[Runtime], object], runtime: Runtime) -> Chore:
    """A chore that blocks, beside the event loop."""

    async def run(_: App) -> None:
        await asyncio.to_thread(function, runtime)

    # What the log calls it.
    run.__qualname__ = function.__qualname__
    return run


async def retry_stalled(app: App) -> None:
    """Queues the jobs of dead workers again: Procrastinate leaves them ``doing`` for ever."""
    stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS)
    for job in stalled:
        try:
            await _retry(app, job)
        except ConnectorException as error:
            # Another worker was faster, or a job with the same queueing lock waits already.
            log.warning("stalled_job_not_retried", job=job.id, reason=error.__cause__)


async def _retry(app: App, job: Job) -> None:
    # A job that kills each worker it meets must end some day.
    if job.attempts + 1 >= MAX_ATTEMPTS:
        await app.job_manager.finish_job(job, Status.FAILED, delete_job=False)
        log.error("stalled_job_failed", job=job.id, task=job.task_name)
    else:
        await app.job_manager.retry_job(job, retry_at=utc_now())
        log.warning("stalled_job_retried", job=job.id, task=job.task_name)


def chores(runtime: Runtime) -> tuple[tuple[float, Chore], ...]:
    """The pauses in seconds, and what is done between them. Delivering only ends with the worker,
    or by a failure."""
    return (
        (1.0, number_events),
        (5.0, in_thread(seal_all, runtime)),
        (10.0, retry_stalled),
        (10.0, in_thread(provisioning.resume, runtime)),
        (0.5, in_thread(fan_out_all, runtime)),
        (1.0, Dispatcher(runtime).run),
    )
