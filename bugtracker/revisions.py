"""Which version the schema has, and which this code knows. Without Alembic: its import takes each
server memory and time, for two short answers."""

from functools import cache

from sqlalchemy import Connection, text

from bugtracker.settings import PROJECT_ROOT

MIGRATIONS = PROJECT_ROOT / "migrations"

VERSION_TABLE = text("SELECT to_regclass('alembic_version') IS NOT NULL")
VERSION = text("SELECT version_num FROM alembic_version")


@cache
def head_revision() -> str:
    """The newest revision this code knows: the number that its file begins with."""
    files = sorted(MIGRATIONS.glob("versions/[0-9]*.py"))
    if not files:
        raise RuntimeError("there are no migrations")
    return files[-1].name.partition("_")[0]


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at, or None when it has no schema yet."""
    if not connection.scalar(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(VERSION)
    return revision
