"""The worker: runs queued jobs, in a process of its own or in a thread of ``serve``."""

import asyncio
import threading
from typing import Any

import structlog
from procrastinate import App, PsycopgConnector
from sqlalchemy import URL

from bugtracker.db import SESSION_OPTIONS, libpq_options
from bugtracker.jobs.housekeeping import STALLED_AFTER_SECONDS, chores, repeat
from bugtracker.jobs.tasks import register
from bugtracker.runtime import Runtime

CONCURRENCY = 4
POLL_SECONDS = 1.0
"""Longest wait for a job whose notification was missed, and for one scheduled for now."""
HEARTBEAT_SECONDS = 10.0
CONNECTION_SECONDS = 5.0
"""Longest wait for a connection; also how long a worker without database takes to stop."""
RESTART_SECONDS = 2.0

# The worker's own statements may take their time (clearing up does, and so does waiting for the
# sequencer's lock); what jobs do goes through the runtime's connections with all their limits.
_OPTIONS = {name: SESSION_OPTIONS[name] for name in ("role", "search_path", "timezone")}

log = structlog.get_logger()


def connect_arguments(url: URL) -> dict[str, Any]:
    """The arguments of psycopg.connect for a SQLAlchemy URL, as the API's role.

    SQLAlchemy's own dialect translates, so sockets (``?host=``), several hosts and TLS options
    mean the same for the worker as for the API.
    """
    _, arguments = url.get_dialect()().create_connect_args(url)
    return {**arguments, "options": libpq_options(_OPTIONS), "connect_timeout": 5}


def make_worker_app(runtime: Runtime) -> App:
    """Procrastinate's app with all jobs bound to this runtime; to be opened by one event loop."""
    connector = PsycopgConnector(
        kwargs=connect_arguments(runtime.db.engine.url),
        min_size=1,
        max_size=CONCURRENCY,
        timeout=CONNECTION_SECONDS,
    )
    app = App(connector=connector)
    register(app, runtime)
    return app


async def run_worker(runtime: Runtime, stop: asyncio.Event) -> None:
    """Works until ``stop`` is set, then finishes the running jobs. Survives a lost database."""
    stopped = asyncio.create_task(stop.wait())
    while not stop.is_set():
        work = asyncio.create_task(_work(runtime))
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        # Cancelling asks it to stop taking jobs and to end when those it has are done.
        work.cancel()
        (outcome,) = await asyncio.gather(work, return_exceptions=True)
        if not stop.is_set():
            log.error("worker_lost", exc_info=outcome, restart_seconds=RESTART_SECONDS)
            await asyncio.wait({stopped}, timeout=RESTART_SECONDS)


async def _work(runtime: Runtime) -> None:
    """One life of the worker. Ends by cancellation or, when the database is lost, by itself."""
    app = make_worker_app(runtime)
    loops: list[asyncio.Task[None]] = []
    try:
        await app.open_async()
        for seconds, action in chores(runtime):
            loops.append(asyncio.create_task(repeat(seconds, action, app)))
        await app.run_worker_async(
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=POLL_SECONDS,
            install_signal_handlers=False,
            shutdown_graceful_timeout=runtime.settings.shutdown_grace,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=STALLED_AFTER_SECONDS,
        )
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        # Also where it was cancelled before it was open: the pool has tasks by then.
        await app.close_async()


class WorkerThread:
    """A worker beside the server, in a thread with an event loop of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._main, name="worker", daemon=True)

    def start(self) -> None:
        """Starts working. Once only."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Lets running jobs end, as long as ``shutdown_grace`` allows, and waits for it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(self._runtime.settings.shutdown_grace + 5)

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await run_worker(self._runtime, self._stop)
