"""Brings the schema to its newest version."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, text
from sqlalchemy.engine import URL

from bugtracker.db import APP_ROLE, owner_engine
from bugtracker.revisions import MIGRATIONS, current_revision

LOCK_TIMEOUT = "4s"
"""Requests behind a migration that waits for a lock wait as long, and give up after eight."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def migrate(
    owner_url: str, api_url: str | None = None, *, lock_timeout: str = LOCK_TIMEOUT
) -> tuple[str | None, str]:
    """Runs the outstanding migrations in one transaction; safe in many processes at once, though
    not in many threads: Alembic keeps its context in the module.

    Grants the API's role to the login of ``api_url`` when that is not the owner itself.
    Returns the revision before and after. SQLAlchemy's OperationalError where a lock cannot be had
    within ``lock_timeout``: nothing has changed then, and it can be tried again.
    """
    engine = owner_engine(owner_url)
    with engine.begin() as connection:
        before = current_revision(connection)
        config = _config()
        config.attributes["connection"] = connection
        config.attributes["lock_timeout"] = lock_timeout
        command.upgrade(config, "head")
        after = current_revision(connection)
        _grant_api_role(connection, make_url(api_url) if api_url else None)
    engine.dispose()
    return before, after or ""


def _set_role_right(connection: Connection) -> str:
    # Before PostgreSQL 16 every member of a role may set it, and the right has no name.
    version = connection.dialect.server_version_info
    return "SET" if version is None or version >= (16,) else "MEMBER"


def _grant_api_role(connection: Connection, api: URL | None) -> None:
    login = api.username if api else None
    owner = connection.scalar(text("SELECT current_user"))
    if login is None or login == owner:
        return
    is_member = connection.scalar(
        text("SELECT pg_has_role(:login, :role, :right)"),
        {"login": login, "role": APP_ROLE, "right": _set_role_right(connection)},
    )
    if not is_member:
        quoted = connection.dialect.identifier_preparer.quote(login)
        connection.execute(text(f"GRANT {APP_ROLE} TO {quoted}"))
