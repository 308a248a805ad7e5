"""What a process needs before it can serve."""

from sqlalchemy.exc import SQLAlchemyError

from bugtracker.db import Database
from bugtracker.migrate import current_revision, head_revision


def checks(db: Database) -> dict[str, str]:
    """Each part as ``ok`` or ``failed``: the database answers, its schema is the newest."""
    try:
        with db.read() as connection:
            at_head = current_revision(connection) == head_revision()
    except SQLAlchemyError:
        return {"database": "failed", "migrations": "failed"}
    return {"database": "ok", "migrations": "ok" if at_head else "failed"}
