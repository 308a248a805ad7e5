"""What a process needs before it can serve."""

from sqlalchemy.exc import SQLAlchemyError

from bugtracker.db import Database
from bugtracker.migrate import current_revision, head_revision


def checks(db: Database) -> dict[str, str]:
    """Each part as ``ok`` or ``failed``: the database answers, its schema is not behind.

    A newer schema will do: migrations run before the rollout, and until their successors are
    ready the old processes serve. Revisions are numbers of four digits.
    """
    try:
        with db.read() as connection:
            new_enough = (current_revision(connection) or "") >= head_revision()
    except SQLAlchemyError:
        return {"database": "failed", "migrations": "failed"}
    return {"database": "ok", "migrations": "ok" if new_enough else "failed"}
