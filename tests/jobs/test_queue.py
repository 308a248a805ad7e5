"""A job is queued if, and only if, the change that wants it is committed."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from bugtracker.db import owner_engine
from bugtracker.db_errors import as_app_error
from bugtracker.embedded import Cluster
from bugtracker.errors import ServiceUnavailable
from bugtracker.jobs.queue import Options
from bugtracker.models import Account
from bugtracker.runtime import Runtime

from .running import account, jobs

TASK = "mail.verify_email"
ONCE = Options(queueing_lock="mail.verify_email:ada")


def accounts(runtime: Runtime) -> int:
    with runtime.db.transaction() as session:
        return len(session.scalars(select(Account)).all())


class TestDefer:
    def test_commits_with_the_change(self, runtime: Runtime) -> None:
        with runtime.db.transaction() as session:
            ada = account()
            session.add(ada)
            runtime.queue.defer(session, TASK, account_id=ada.id)
            assert jobs(runtime) == []
        assert jobs(runtime) == [(TASK, "todo", 0)]
        assert accounts(runtime) == 1

    def test_is_undone_with_the_change(self, runtime: Runtime) -> None:
        session = runtime.db.session()
        ada = account()
        session.add(ada)
        runtime.queue.defer(session, TASK, account_id=ada.id)
        session.close()
        assert jobs(runtime) == []
        assert accounts(runtime) == 0

    def test_arguments_are_the_ids_as_text(self, runtime: Runtime) -> None:
        ada = account()
        with runtime.db.transaction() as session:
            number = runtime.queue.defer(session, TASK, account_id=ada.id, attempt=2)
        with runtime.db.read() as connection:
            row = connection.execute(text("SELECT id, args FROM procrastinate_jobs")).one()
        assert tuple(row) == (number, {"account_id": str(ada.id), "attempt": 2})

    def test_of_two_with_one_queueing_lock_one_waits(self, runtime: Runtime) -> None:
        with runtime.db.transaction() as session:
            assert runtime.queue.defer(session, TASK, ONCE, account_id="1") is not None
        with runtime.db.transaction() as session:
            session.add(account())
            assert runtime.queue.defer(session, TASK, ONCE, account_id="1") is None
            session.execute(text("SELECT 1"))
        assert len(jobs(runtime)) == 1
        assert accounts(runtime) == 1

    def test_can_wait(self, runtime: Runtime) -> None:
        later = Options(lock="ada", schedule_in=timedelta(hours=1))
        with runtime.db.transaction() as session:
            runtime.queue.defer(session, TASK, later, account_id="1")
        with runtime.db.read() as connection:
            query = text("SELECT lock, scheduled_at - now() FROM procrastinate_jobs")
            lock, wait = connection.execute(query).one()
        assert lock == "ada"
        assert timedelta(minutes=59) < wait <= timedelta(hours=1)

    def test_a_lost_connection_is_an_outage_and_the_pool_recovers(
        self, runtime: Runtime, cluster: Cluster
    ) -> None:
        session = runtime.db.session()
        victim = session.scalar(text("SELECT pg_backend_pid()"))
        with owner_engine(cluster.admin_url()).connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": victim})
        with pytest.raises(DBAPIError) as caught:
            runtime.queue.defer(session, TASK, account_id="1")
        session.close()
        assert isinstance(as_app_error(caught.value), ServiceUnavailable)
        for _ in range(3):
            assert jobs(runtime) == []
