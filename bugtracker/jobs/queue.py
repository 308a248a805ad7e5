"""Putting jobs into the queue, inside the transaction of the change that wants them done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg
from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.tasks import ConfigureTaskOptions
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

JobArgument = str | int | UUID


@dataclass(frozen=True, slots=True)
class Options:
    """When a job may run.

    Of two jobs with one ``lock`` only one runs at a time. Of two with one ``queueing_lock`` only
    one waits: a second ``defer`` does nothing. ``schedule_in`` is the least time to wait.
    """

    lock: str | None = None
    queueing_lock: str | None = None
    schedule_in: timedelta | None = None

    def for_task(self) -> ConfigureTaskOptions:
        """What Procrastinate wants to be told."""
        options = ConfigureTaskOptions(lock=self.lock, queueing_lock=self.queueing_lock)
        if self.schedule_in is not None:
            options["schedule_in"] = {"seconds": int(self.schedule_in.total_seconds())}
        return options


class Queue:
    """The way into the job queue. It has no connections of its own; threads share it."""

    def __init__(self) -> None:
        # Never opened: each job goes through the connection of its caller's transaction.
        self._app = App(connector=SyncPsycopgConnector())

    def defer(
        self, session: Session, task: str, options: Options | None = None, /, **ids: JobArgument
    ) -> int | None:
        """Queues ``task`` for when the session's transaction has committed; returns the job's id.

        Arguments are ids and words of ours, nothing else: they can be read by whoever reads the
        table. None when a job with the same ``queueing_lock`` waits already. Raises SQLAlchemy's
        DBAPIError.
        """
        session.flush()
        connection = session.connection()
        driver = connection.connection.driver_connection
        chosen = options or Options()
        job = self._app.configure_task(task, connection=driver, **chosen.for_task())
        arguments = {name: _plain(value) for name, value in ids.items()}
        with _as_sqlalchemy_does(connection):
            if chosen.queueing_lock is None:
                return job.defer(**arguments)
            try:
                # A clash of locks would end the caller's whole transaction without a savepoint.
                with connection.begin_nested():
                    return job.defer(**arguments)
            except AlreadyEnqueued:
                return None


def _plain(value: JobArgument) -> str | int:
    return str(value) if isinstance(value, UUID) else value


@contextmanager
def _as_sqlalchemy_does(connection: Connection) -> Iterator[None]:
    """A lost connection or a timeout means to our callers, and to the pool, what it always does."""
    driver = connection.connection.driver_connection
    try:
        yield
    except ConnectorException as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg.Error) or driver is None:
            raise
        lost = bool(driver.closed)
        if lost:
            connection.invalidate(cause)
        raise DBAPIError.instance(
            "defer a job", None, cause, psycopg.Error, connection_invalidated=lost
        ) from cause
