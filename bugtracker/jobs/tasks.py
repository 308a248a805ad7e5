"""What the worker can do: the name of every job, and the function behind it.

A job's function takes the runtime, then the ids it was deferred with. It may run more than once
(a killed worker's jobs are run again), so it looks at the state before it changes anything.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from procrastinate import App

from bugtracker.jobs.expiry import expire
from bugtracker.jobs.retry import Backoff
from bugtracker.mail import invitations, webhooks
from bugtracker.mail import jobs as mail
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
    "mail.webhook_suspended": webhooks.webhook_suspended,
}
"""Each is tried again, with growing pauses, until it succeeds or has failed ten times."""


def register(app: App, runtime: Runtime) -> None:
    """Binds every job to the app of a worker."""
    for name, function in JOBS.items():
        app.task(name=name, retry=Backoff())(partial(function, runtime))
    _register_cleanup(app)
    _register_expiry(app, runtime)


def _register_cleanup(app: App) -> None:
    async def cleanup(timestamp: int) -> None:  # noqa: ARG001 - every periodic job is told
        """Deletes what finished, well or badly, a week ago."""
        await app.job_manager.delete_old_jobs(
            KEEP_FINISHED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )

    task: Any = app.task(name="jobs.cleanup")(cleanup)
    app.periodic(cron="17 3 * * *")(task)


def _register_expiry(app: App, runtime: Runtime) -> None:
    def expire_accounts(timestamp: int) -> None:  # noqa: ARG001 - every periodic job is told
        expire(runtime)

    task: Any = app.task(name="accounts.expire", retry=Backoff())(expire_accounts)
    app.periodic(cron="47 3 * * *")(task)
