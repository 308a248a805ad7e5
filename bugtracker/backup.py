"""A copy of the whole database in a directory, and the way back into an empty one.

``pg_dump`` makes the copy of one moment; the rows of that same moment are counted, and are counted
again after restoring. docs/operations/backup.md tells when to do what.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from bugtracker import __version__
from bugtracker.clock import utc_now
from bugtracker.embedded.programs import bin_dirs

DUMP = "database.dump"
MANIFEST = "manifest.json"
SCHEMAS = ["public", "jobs"]
GROUPS = ("bugtracker_app", "bugtracker_system")
"""The roles that objects and rights belong to, besides the owner's."""

TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY(%s) ORDER BY 1, 2
"""
OWNER = "SELECT tableowner FROM pg_tables WHERE (schemaname, tablename) = ('public', 'events')"


class BackupError(Exception):
    """It cannot be done, or is not what it should be; the text says why and is for operators."""


@dataclass(frozen=True)
class Manifest:
    """What a copy holds."""

    created_at: str
    version: str
    revision: str
    server: int
    owner: str
    sha256: str
    rows: dict[str, int]
    """By table, with its schema."""


def backup(url: str, directory: Path) -> Manifest:
    """Copies the database into a new directory that only its owner can read."""
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BackupError(f"{directory} exists already") from None
    with closing(_connect(url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        snapshot = _value(connection, "SELECT pg_export_snapshot()")
        rows = _count(connection)
        # Counted and dumped in the same moment: the transaction stays open meanwhile.
        dump = directory / DUMP
        given = ["--format=custom", f"--snapshot={snapshot}", f"--file={dump}"]
        _run("pg_dump", url, connection.info.server_version // 10_000, given)
        manifest = Manifest(
            created_at=utc_now().isoformat(),
            version=__version__,
            revision=_value(connection, "SELECT version_num FROM alembic_version"),
            server=connection.info.server_version,
            owner=_value(connection, OWNER),
            sha256=_sha256(dump),
            rows=rows,
        )
    (directory / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    return manifest


def restore(url: str, directory: Path) -> Manifest:
    """Fills an empty database from a copy, all or nothing, and counts what is there afterwards.
    Makes the roles that are missing, without passwords."""
    manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
    dump = directory / DUMP
    if _sha256(dump) != manifest.sha256:
        raise BackupError(f"{dump} is not the file that was written")
    with closing(_connect(url)) as connection:
        if connection.execute(TABLES, [SCHEMAS]).fetchone() is not None:
            raise BackupError("the database is not empty")
        _make_roles(connection, manifest.owner)
        server = connection.info.server_version // 10_000
        connection.commit()
    # The public schema is there already; pg_restore would stumble over it.
    given = ["--single-transaction", "--exit-on-error", "--clean", "--if-exists", str(dump)]
    _run("pg_restore", url, server, given)
    with closing(_connect(url)) as connection:
        found = _count(connection)
        connection.execute("ANALYZE")
        connection.commit()
    different = {name for name, number in manifest.rows.items() if found.get(name) != number}
    if different or found.keys() != manifest.rows.keys():
        raise BackupError(f"rows are missing or too many in: {', '.join(sorted(different))}")
    return manifest


def _make_roles(connection: psycopg.Connection, owner: str) -> None:
    for name, rights in ((owner, "LOGIN CREATEROLE"), *((group, "NOLOGIN") for group in GROUPS)):
        if not _value(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", [name]):
            statement = sql.SQL("CREATE ROLE {} " + rights)
            connection.execute(statement.format(sql.Identifier(name)))
    for group in GROUPS:
        statement = sql.SQL("GRANT {} TO {} WITH ADMIN OPTION")
        connection.execute(statement.format(sql.Identifier(group), sql.Identifier(owner)))


def _connect(url: str) -> psycopg.Connection:
    connection = psycopg.connect(**_arguments(url))
    # Rather an error than the rows that policies let this login see.
    connection.execute("SET row_security = off")
    connection.commit()
    return connection


def _arguments(url: str) -> dict[str, Any]:
    parsed = make_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    return {**arguments, "connect_timeout": 5}


def _count(connection: psycopg.Connection) -> dict[str, int]:
    try:
        return {
            f"{schema}.{table}": int(
                _value(connection, sql.SQL("SELECT count(*) FROM {}").format(_name(schema, table)))
            )
            for schema, table in connection.execute(TABLES, [SCHEMAS]).fetchall()
        }
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(
            f"{error.diag.message_primary}; log in as a superuser, or as a role with BYPASSRLS"
            " that may read everything (docs/operations/backup.md)"
        ) from None


def _name(schema: str, table: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(table))


def _value(connection: psycopg.Connection, query: Any, given: Sequence[Any] = ()) -> Any:
    row = connection.execute(query, given).fetchone()
    if row is None:
        raise BackupError("this is not a database of Bugtracker")
    return row[0]


def _run(program: str, url: str, server: int, given: Sequence[str]) -> None:
    arguments = _arguments(url)
    # The password goes by the environment: everybody may read command lines.
    password = str(arguments.pop("password", ""))
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {}), "LC_ALL": "C"}
    command = [_find(program, server), "--no-password", f"--dbname={make_conninfo(**arguments)}"]
    result = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [*command, *given], env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise BackupError(f"{program}: {result.stderr.strip()[-2000:]}")


def _find(program: str, server: int) -> str:
    """One that is not older than the server: those cannot read it."""
    found = shutil.which(program)
    for place in [*([Path(found)] if found else []), *(each / program for each in bin_dirs())]:
        if place.exists() and _major_version(place) >= server:
            return str(place)
    raise BackupError(f"there is no {program} of PostgreSQL {server} or newer on the PATH")


def _major_version(program: Path) -> int:
    command = [str(program), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r"\) (\d+)", answer.stdout)
    return int(version[1]) if version else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
