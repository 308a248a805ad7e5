"""What a worker process writes about errors of the database: enough to mend them, and no row."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.ids import new_id
from bugtracker.jobs.retry import MAX_ATTEMPTS
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings

from .running import account, eventually, execute, jobs

CANARY = "canary-5c1e"

# A job's own statement fails with a row that holds the canary; the worker's statement fails with
# a report that does.
SABOTAGE = f"""
ALTER TABLE one_time_tokens ADD COLUMN hidden text DEFAULT '{CANARY}';
ALTER TABLE one_time_tokens ADD CONSTRAINT no_more_mails CHECK (purpose <> 'verify_email');
CREATE OR REPLACE FUNCTION number_events() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RAISE unique_violation
    USING MESSAGE = 'no numbers today', DETAIL = '{CANARY}', HINT = '{CANARY}';
END $$;
"""


@pytest.fixture
def sabotaged(cluster: Cluster, database: str) -> None:
    engine = owner_engine(cluster.admin_url(database))
    with engine.begin() as connection:
        connection.execute(text(SABOTAGE))
    engine.dispose()


@contextmanager
def worker_process(settings: Settings, log: Path, form: str) -> Iterator[None]:
    """``bugtracker worker``; what it writes goes to a file."""
    assert settings.database_url is not None
    assert settings.secret_key is not None
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BUGTRACKER_SECRET_KEY": settings.secret_key.get_secret_value(),
        "BUGTRACKER_LOG_FORMAT": form,
        "BUGTRACKER_LOG_LEVEL": "DEBUG",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "bugtracker", "worker"]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, env=environment, stdout=file, stderr=file) as process,
    ):
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.usefixtures("sabotaged")
def test_a_failing_job_and_a_failing_worker_tell_the_cause_and_no_row(
    runtime: Runtime, tmp_path: Path, shared_directory: Path, form: str
) -> None:
    log = tmp_path / "worker.log"
    name = str(new_id())
    person = account(username=name, email=f"{name}@example.com")
    with runtime.db.transaction() as session:
        session.add(person)
        runtime.queue.defer(session, "mail.verify_email", account_id=person.id)
    # Procrastinate shows the error of the last attempt.
    execute(runtime, f"UPDATE procrastinate_jobs SET attempts = {MAX_ATTEMPTS - 1}")
    with worker_process(runtime.settings, log, form):
        eventually(lambda: jobs(runtime) == [("mail.verify_email", "failed", MAX_ATTEMPTS)], 60)
        eventually(lambda: "no numbers today" in log.read_text(), 60)
    written = log.read_text()
    assert "no_more_mails" in written
    assert "INSERT INTO one_time_tokens" in written
    assert "housekeeping_failed" in written
    assert CANARY not in written
    assert name not in written
    assert "no_more_mails" in (
        server_log := (shared_directory / "postgres/postgres.log").read_text()
    )
    assert f"contains ({person.id}" not in server_log
    assert "Failing row" not in server_log
    assert f"DETAIL:  {CANARY}" not in server_log
