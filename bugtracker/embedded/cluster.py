"""What the rest of the program sees of a running embedded server: connection URLs, databases."""

from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL

SUPERUSER = "postgres"
OWNER = "bugtracker_owner"
API = "bugtracker_api"

_DATABASE_LOCK = 7_236_410_985
"""Advisory lock (any number, the same everywhere) under which databases are created."""

_CREATE_ROLES: LiteralString = """
DO $$ BEGIN
  IF to_regrole('bugtracker_owner') IS NULL THEN
    CREATE ROLE bugtracker_owner LOGIN CREATEROLE;
  END IF;
  IF to_regrole('bugtracker_api') IS NULL THEN
    CREATE ROLE bugtracker_api LOGIN;
  END IF;
END $$
"""


@dataclass(frozen=True)
class Cluster:
    """A running server; everybody who can enter the socket's directory is trusted."""

    socket_dir: Path

    def admin_url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of the superuser, for tests and set-up only."""
        return self._url(SUPERUSER, database)

    def owner_url(self, database: str = "bugtracker") -> str:
        """SQLAlchemy URL of the role that owns and migrates the schema (may create roles)."""
        return self._url(OWNER, database)

    def api_url(self, database: str = "bugtracker") -> str:
        """SQLAlchemy URL of the role the API logs in as; it has no rights of its own."""
        return self._url(API, database)

    def check(self) -> None:
        """Raise psycopg.OperationalError unless connections are accepted."""
        self._connect().close()

    def ensure_roles(self) -> None:
        """Create the two login roles where they are missing; not safe against itself."""
        with self._connect() as connection:
            connection.execute(_CREATE_ROLES)

    def ensure_database(self, name: str = "bugtracker") -> None:
        """Create a database of the owner's unless it exists; any number may try at once."""
        with self._connect() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [_DATABASE_LOCK])
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone() is None:
                self._create(connection, name, "template1")

    def clone_database(self, template: str, name: str) -> None:
        """Copy a database that nobody is connected to; raises psycopg's errors."""
        with self._connect() as connection:
            self._create(connection, name, template)

    def drop_database(self, name: str) -> None:
        """Remove a database if it exists, and throw out whoever is connected to it."""
        with self._connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    @staticmethod
    def _create(connection: psycopg.Connection, name: str, template: str) -> None:
        names = (sql.Identifier(each) for each in (name, OWNER, template))
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        connection.execute(statement.format(*names))

    def _connect(self) -> psycopg.Connection:
        """Connect as superuser, in autocommit: databases are not made inside transactions."""
        return psycopg.connect(
            host=str(self.socket_dir), port=5432, user=SUPERUSER, dbname="postgres", autocommit=True
        )

    def _url(self, role: str, database: str) -> str:
        # The port is part of the socket's name, and PGPORT would change it.
        query = {"host": str(self.socket_dir), "port": "5432"}
        url = URL.create("postgresql+psycopg", role, database=database, query=query)
        return url.render_as_string(hide_password=False)
