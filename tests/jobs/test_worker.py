"""A worker that is killed, cut off or stopped loses nothing."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from bugtracker.clock import utc_now
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.ids import new_id
from bugtracker.jobs.retry import MAX_ATTEMPTS, Backoff
from bugtracker.jobs.worker import CONNECTION_SECONDS, connect_arguments
from bugtracker.models import Event, Organisation
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.mail.sink import Sink
from tests.timing import within

from . import running
from .running import account, eventually, execute, jobs, working

VERIFY = "mail.verify_email"


def defer(runtime: Runtime) -> None:
    """One registration, with its mail."""
    name = str(new_id())
    person = account(username=name, email=f"{name}@example.com")
    with runtime.db.transaction() as session:
        session.add(person)
        runtime.queue.defer(session, VERIFY, account_id=person.id)


def worker_process(settings: Settings) -> subprocess.Popen[bytes]:
    assert settings.database_url is not None
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BUGTRACKER_SECRET_KEY": "k" * 32,
        "BUGTRACKER_BCRYPT_COST": "4",
        "BUGTRACKER_SMTP_HOST": "127.0.0.1",
        "BUGTRACKER_SMTP_PORT": str(settings.smtp_port),
        "PYTHONPATH": str(Path(running.__file__).parents[2]),
    }
    return subprocess.Popen([sys.executable, running.__file__], env=environment)


class TestWorker:
    def test_the_jobs_of_a_killed_worker_are_run_by_another(
        self, runtime: Runtime, sink: Sink
    ) -> None:
        sink.speaking.clear()
        defer(runtime)
        with worker_process(runtime.settings) as process:
            try:
                eventually(lambda: sink.conversations == 1)
            finally:
                process.kill()
        assert jobs(runtime) == [(VERIFY, "doing", 0)]
        sink.speaking.set()
        sink.mails = []
        execute(
            runtime,
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'",
        )
        with working(runtime):
            sink.wait_for_mail()
            eventually(lambda: jobs(runtime) == [(VERIFY, "succeeded", 2)])

    def test_a_job_that_kills_its_workers_fails_at_last(self, runtime: Runtime) -> None:
        defer(runtime)
        execute(runtime, "UPDATE procrastinate_jobs SET status = 'doing', attempts = 9")
        with working(runtime):
            eventually(lambda: jobs(runtime) == [(VERIFY, "failed", 10)])

    # A connection that ends while SQLAlchemy begins with it is dropped by SQLAlchemy, not closed.
    @pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
    def test_survives_an_outage_of_the_database(
        self, runtime: Runtime, sink: Sink, cluster: Cluster, database: str
    ) -> None:
        with capture_logs() as lines, working(runtime):
            defer(runtime)
            sink.wait_for_mail(1)
            with outage(cluster, database):
                eventually(lambda: "worker_lost" in {line["event"] for line in lines})
            eventually(lambda: _defers(runtime))
            sink.wait_for_mail(2)

    def test_finishes_what_it_began_when_stopped(self, runtime: Runtime, sink: Sink) -> None:
        sink.speaking.clear()
        defer(runtime)
        with working(runtime) as worker:
            eventually(lambda: sink.conversations == 1)
            threading.Timer(0.5, sink.speaking.set).start()
            worker.stop()
        assert jobs(runtime) == [(VERIFY, "succeeded", 1)]
        assert workers(runtime) == 0

    def test_stops_while_the_database_is_away(
        self, runtime: Runtime, cluster: Cluster, database: str
    ) -> None:
        with working(runtime) as worker:
            eventually(lambda: workers(runtime) == 1)
            cluster.drop_database(database)
            time.sleep(0.5)
            began = time.monotonic()
            worker.stop()
        assert time.monotonic() - began < within(CONNECTION_SECONDS + 3)

    def test_acts_as_the_role_of_the_api(self, runtime: Runtime) -> None:
        with psycopg.connect(**connect_arguments(runtime.db.engine.url)) as connection:
            row = connection.execute("SELECT current_user, current_setting('search_path')")
            assert row.fetchone() == ("bugtracker_app", "public,jobs")

    def test_address_of_several_hosts_and_a_password(self) -> None:
        url = make_url("postgresql+psycopg://u:p%40ss@/db?host=a:1&host=b:2&sslmode=require")
        arguments = connect_arguments(url)
        expected = {
            "user": "u",
            "password": "p@ss",
            "dbname": "db",
            "host": "a,b",
            "port": "1,2",
            "sslmode": "require",
        }
        assert expected.items() <= arguments.items()


@contextmanager
def outage(cluster: Cluster, database: str) -> Iterator[None]:
    """Connections to the database end, and no new ones are let in."""
    admin = owner_engine(cluster.admin_url()).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": database},
        )
        yield
        connection.execute(text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true"))


def workers(runtime: Runtime) -> int:
    with runtime.db.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM procrastinate_workers")) or 0)


def _defers(runtime: Runtime) -> bool:
    """Whether a registration went through: the pool meets its dead connections first."""
    try:
        defer(runtime)
    except DBAPIError:
        return False
    return True


class TestNumberEvents:
    @pytest.fixture
    def organisations(self, runtime: Runtime) -> list[UUID]:
        ids = [new_id(), new_id()]
        now = utc_now()
        for place, org_id in enumerate(ids):
            with runtime.db.transaction(org_id=org_id) as session:
                name = f"org-{place}"
                session.add(
                    Organisation(id=org_id, slug=name, name=name, created_at=now, updated_at=now)
                )
        return ids

    def test_numbers_have_no_gaps_though_commits_come_in_any_order(
        self, runtime: Runtime, organisations: list[UUID]
    ) -> None:
        def write(turn: int) -> None:
            org_id = organisations[turn % 2]
            with runtime.db.transaction(org_id=org_id) as session:
                session.add_all(event(org_id) for _ in range(turn % 3 + 1))
                session.flush()
                session.execute(text("SELECT pg_sleep(:s)"), {"s": turn % 7 / 50})
                if turn % 10 == 9:
                    session.rollback()

        with working(runtime), working(runtime):
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(write, range(80)))
            for org_id in organisations:
                eventually(lambda org_id=org_id: None not in numbers(runtime, org_id))
        for org_id in organisations:
            found = numbers(runtime, org_id)
            assert len(found) > 60
            assert sorted(found) == list(range(1, len(found) + 1))


def event(org_id: UUID) -> Event:
    return Event(
        id=new_id(),
        org_id=org_id,
        action="organisation.updated",
        resource_type="organisation",
        resource_id=org_id,
        changes={},
        created_at=utc_now(),
    )


def numbers(runtime: Runtime, org_id: UUID) -> list[int]:
    with runtime.db.transaction(org_id=org_id) as session:
        return list(session.execute(text("SELECT number FROM events")).scalars())


class TestCleanup:
    def test_deletes_what_finished_a_week_ago(self, runtime: Runtime, sink: Sink) -> None:
        with working(runtime):
            for _ in range(2):
                defer(runtime)
            sink.wait_for_mail(2)
            eventually(lambda: {status for _, status, _ in jobs(runtime)} == {"succeeded"})
            age = "UPDATE procrastinate_events SET at = at - interval '8 days' WHERE job_id = 1"
            execute(runtime, age)
            with runtime.db.transaction() as session:
                runtime.queue.defer(session, "jobs.cleanup", timestamp=0)
            eventually(lambda: len(jobs(runtime)) == 1)


def test_the_pauses_between_tries_grow_to_an_hour() -> None:
    delays = [Backoff().delay(attempts) for attempts in range(MAX_ATTEMPTS - 1)]
    assert 2.5 <= delays[0] <= 5
    assert all(1800 <= delay <= 3600 for delay in delays[5:])
    assert timedelta(hours=2) < timedelta(seconds=sum(delays)) < timedelta(hours=5)
