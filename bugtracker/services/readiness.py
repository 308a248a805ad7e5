"""What a process needs before it can serve, and what it can do without for a while."""

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bugtracker.db import Database
from bugtracker.revisions import current_revision, head_revision
from bugtracker.settings import Settings

# Workers beat every ten seconds; this is when their jobs are given to others.
HEARTBEAT = text(
    "SELECT coalesce(max(last_heartbeat) > now() - interval '30 seconds', false)"
    " FROM procrastinate_workers"
)


def checks(db: Database) -> dict[str, str]:
    """Each part as ``ok`` or ``failed``: the database answers, its schema is new enough.

    A schema newer than this version is: it was widened before the next version is started, and
    what this one uses is taken away only after it has gone (docs/operations/migrations.md).
    """
    try:
        with db.read() as connection:
            revision = current_revision(connection)
    except SQLAlchemyError:
        return {"database": "failed", "migrations": "failed"}
    # Revisions are numbers of four digits.
    is_there = revision is not None and revision >= head_revision()
    return {"database": "ok", "migrations": "ok" if is_there else "failed"}


def dispensable(db: Database, settings: Settings) -> dict[str, str]:
    """What requests are answered without: Redis (limits are counted here meanwhile) and workers
    (jobs wait). As ``ok`` or ``failed``; ``off`` for a Redis that is not configured, ``unknown``
    for workers where the database cannot be asked."""
    url = settings.redis_url
    redis = "off" if url is None else _redis(url.get_secret_value())
    return {"redis": redis, "worker": _worker(db)}


def _worker(db: Database) -> str:
    try:
        with db.read() as connection:
            return "ok" if connection.scalar(HEARTBEAT) else "failed"
    except SQLAlchemyError:
        return "unknown"


def _redis(url: str) -> str:
    # Imported where there is a Redis only: it takes memory and time.
    from bugtracker.throttle.ping import answers

    return "ok" if answers(url) else "failed"
