"""Alembic's entry. The program runs migrations itself (``bugtracker migrate``)."""

from alembic import context
from sqlalchemy import text

from bugtracker.migrate import LOCK_TIMEOUT
from bugtracker.models import Base


def run() -> None:
    """Migrates over the connection that ``bugtracker.migrate`` hands in."""
    connection = context.config.attributes["connection"]
    # One migration at a time, however many instances start at once.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bugtracker.migrate'))"))
    # Who waits for a lock makes everybody behind it wait: rather fail, and be tried again.
    connection.execute(
        text("SELECT set_config('lock_timeout', :limit, true)"),
        {"limit": context.config.attributes.get("lock_timeout", LOCK_TIMEOUT)},
    )
    context.configure(connection=connection, target_metadata=Base.metadata)
    context.run_migrations()


run()
