"""What the worker can do: the name of every job, and the function behind it.

A job's function takes the runtime, then the ids it was deferred with. It may run more than once
(a killed worker's jobs are run again), so it looks at the state before it changes anything.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from procrastinate import App

from bugtracker.erasure import jobs as erasing
from bugtracker.exporting.building import build
from bugtracker.exporting.endings import clear_due
from bugtracker.jobs import provisioning
from bugtracker.jobs.expiry import expire
from bugtracker.jobs.measuring import measured
from bugtracker.jobs.retry import Backoff
from bugtracker.login_analytics.recording import record_login
from bugtracker.login_analytics.rollup import nightly, roll_up_past
from bugtracker.mail import exports, farewells, invitations, webhooks
from bugtracker.mail import jobs as mail
from bugtracker.request_counts import prune
from bugtracker.runtime import Runtime

KEEP_FINISHED_HOURS = 7 * 24

JOBS: dict[str, Callable[..., None]] = {
    "mail.verify_email": mail.verify_email,
    "mail.address_known": mail.address_known,
    "mail.reset_password": mail.reset_password,
    "mail.password_changed": mail.password_changed,
    "mail.magic_link": mail.magic_link,
    "mail.two_factor_changed": mail.two_factor_changed,
    "mail.new_sign_in": mail.new_sign_in,
    "mail.invitation": invitations.invitation,
    "mail.export_ready": exports.export_ready,
    "export.build": build,
    "mail.deletion_refused": farewells.deletion_refused,
    "deletion.announce": erasing.announce_deletion,
    "deletion.run": erasing.run_deletion,
    "account.announce": erasing.announce_account_deletion,
    "account.erase": erasing.erase_account,
    "provisioning.run": provisioning.run,
    "analytics.record_login": record_login,
    "mail.webhook_suspended": webhooks.webhook_suspended,
}
"""Each is tried again, with growing pauses, until it succeeds or has failed ten times."""

PERIODIC: dict[str, tuple[str, Callable[[Runtime], object]]] = {
    "accounts.expire": ("47 3 * * *", expire),
    "exports.clear": ("*/10 * * * *", clear_due),
    "deletions.resume": ("7 * * * *", erasing.resume),
    "analytics.nightly": ("17 0 * * *", nightly),
    "analytics.roll_up": ("37 * * * *", roll_up_past),
    "analytics.prune_requests": ("27 * * * *", lambda runtime: prune(runtime.db)),
}
"""When each is run (cron, UTC), and what; tried again as the others."""


def register(app: App, runtime: Runtime) -> None:
    """Binds every job to the app of a worker."""
    for name, function in JOBS.items():
        app.task(name=name, retry=Backoff())(measured(name, partial(function, runtime)))
    _register_cleanup(app)
    for name, (cron, periodic) in PERIODIC.items():
        _register_periodic(app, name, cron, partial(periodic, runtime))


def _register_cleanup(app: App) -> None:
    async def cleanup(timestamp: int) -> None:  # noqa: ARG001 - every periodic job is told
        """Deletes what finished, well or badly, a week ago."""
        await app.job_manager.delete_old_jobs(
            KEEP_FINISHED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )

    task: Any = app.task(name="jobs.cleanup")(cleanup)
    app.periodic(cron="17 3 * * *")(task)


def _register_periodic(app: App, name: str, cron: str, function: Callable[[], object]) -> None:
    def run(timestamp: int) -> None:  # noqa: ARG001 - every periodic job is told
        function()

    task: Any = app.task(name=name, retry=Backoff())(measured(name, run))
    app.periodic(cron=cron)(task)
