"""The command that works off jobs."""

import asyncio
import signal

import click

from bugtracker.cli.serving import sending_traces, serving_metrics
from bugtracker.jobs.worker import run_worker
from bugtracker.launch import runtime_for
from bugtracker.logs import configure_logging, log_uncaught
from bugtracker.metrics.listener import Pulse
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings


@click.command()
def worker() -> None:
    """Run queued jobs (mails, clearing up) until interrupted."""
    settings = Settings()
    configure_logging(settings)
    log_uncaught()
    pulse = Pulse()
    with (
        runtime_for(settings) as runtime,
        serving_metrics(runtime, pulse),
        sending_traces(runtime, "bugtracker-worker"),
    ):
        asyncio.run(_work_until_signalled(runtime, pulse))


async def _work_until_signalled(runtime: Runtime, pulse: Pulse) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    beating = asyncio.create_task(pulse.keep_beating())
    await run_worker(runtime, stop)
    beating.cancel()
