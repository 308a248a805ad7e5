"""Migrations: from nothing to the newest schema, by whoever runs them."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Index, make_url, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateIndex

from bugtracker.clock import utc_now
from bugtracker.db import APP_ROLE, Database, owner_engine
from bugtracker.embedded import Cluster
from bugtracker.ids import new_id
from bugtracker.migrate import _config, migrate
from bugtracker.models import Base, Organisation
from bugtracker.revisions import current_revision, head_revision
from bugtracker.services import organisations
from bugtracker.services.events import Origin


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[str]:
    """The name of a database without any schema."""
    name = f"empty_{uuid4().hex}"
    cluster.ensure_database(name)
    yield name
    cluster.drop_database(name)


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[Engine]:
    engine = owner_engine(cluster.admin_url()).execution_options(isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def strange_login(admin: Engine) -> Iterator[str]:
    """The name of a login that has no rights and needs quoting."""
    name = f'Api "{uuid4().hex[:8]}"; --'
    quoted = admin.dialect.identifier_preparer.quote(name)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {quoted} LOGIN")
        yield name
        connection.exec_driver_sql(f"DROP ROLE {quoted}")


def as_login(url: str, login: str) -> str:
    return make_url(url).set(username=login).render_as_string(hide_password=False)


def wait_for_waiting(connection: Connection, processes: int) -> None:
    """Returns when that many wait for the lock under which migrations run."""
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    deadline = time.monotonic() + 60
    while connection.scalar(waiting) != processes:
        assert time.monotonic() < deadline, "they do not wait for each other"
        time.sleep(0.02)


class TestMigrate:
    def test_brings_an_empty_database_to_the_newest_schema(
        self, cluster: Cluster, empty_database: str
    ) -> None:
        owner = cluster.owner_url(empty_database)
        assert migrate(owner) == (None, head_revision())
        assert migrate(owner) == (head_revision(), head_revision())

    def test_many_processes_at_once_do_it_once(self, cluster: Cluster, empty_database: str) -> None:
        owner, api = cluster.owner_url(empty_database), cluster.api_url(empty_database)
        program = f"from bugtracker.migrate import migrate; print(migrate({owner!r}, {api!r})[1])"
        engine = owner_engine(owner)
        with engine.begin() as gate:
            gate.execute(text("SELECT pg_advisory_xact_lock(hashtext('bugtracker.migrate'))"))
            processes = [
                subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
                for _ in range(2)
            ]
            wait_for_waiting(gate, len(processes))
        reached = [process.communicate(timeout=60)[0].strip() for process in processes]
        assert reached == [head_revision()] * 2
        with engine.connect() as connection:
            assert current_revision(connection) == head_revision()
        engine.dispose()

    def test_gives_the_apis_login_its_role(
        self, cluster: Cluster, own_database: str, strange_login: str
    ) -> None:
        url = as_login(cluster.api_url(own_database), strange_login)
        for _ in range(2):
            migrate(cluster.owner_url(own_database), url)
        db = Database(url, pool_size=1)
        with db.read() as connection:
            assert connection.scalar(text("SELECT current_user")) == APP_ROLE
            assert current_revision(connection) == head_revision()
        db.close()

    def test_one_url_is_enough(self, cluster: Cluster, empty_database: str) -> None:
        url = cluster.owner_url(empty_database)
        migrate(url, url)
        db = Database(url, pool_size=1)
        with db.transaction() as session:
            assert session.scalar(text("SELECT current_user")) == APP_ROLE
            org_id = organisations.ensure(session, "alone", "Alone", Origin(utc_now(), None))
        with db.transaction(org_id=org_id) as session:
            assert session.scalars(select(Organisation.slug)).all() == ["alone"]
        with db.transaction(org_id=new_id()) as session:
            assert session.scalars(select(Organisation.slug)).all() == []
        db.close()


class TestLocks:
    def test_who_cannot_have_a_lock_gives_up_and_changes_nothing(
        self, cluster: Cluster, own_database: str
    ) -> None:
        owner = cluster.owner_url(own_database)
        engine = owner_engine(owner)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0017'"))
        with engine.begin() as busy:
            # 0018 begins with an index on this table.
            busy.execute(text("LOCK TABLE events IN ROW EXCLUSIVE MODE"))
            with pytest.raises(OperationalError, match="lock timeout"):
                migrate(owner, lock_timeout="100ms")
        with engine.connect() as connection:
            assert current_revision(connection) == "0017"
        engine.dispose()


class TestRevisions:
    def test_are_one_line(self) -> None:
        scripts = ScriptDirectory.from_config(_config())
        assert scripts.get_heads() == [head_revision()]
        assert len(scripts.get_bases()) == 1

    def test_lead_to_what_the_models_say(self, cluster: Cluster, own_database: str) -> None:
        engine = owner_engine(cluster.owner_url(own_database))
        with engine.connect() as connection:
            assert differences(connection) == []
        engine.dispose()

    def test_the_comparison_notices_differences(self, cluster: Cluster, own_database: str) -> None:
        engine = owner_engine(cluster.owner_url(own_database))
        with engine.connect() as connection:
            connection.execute(text("ALTER TABLE comments ADD COLUMN extra text"))
            connection.execute(text("DROP INDEX issues_by_created_idx"))
            connection.execute(text("DROP INDEX issues_by_due_idx"))
            other = "CREATE INDEX issues_by_due_idx ON issues (org_id, project_id, due_date, id)"
            connection.execute(text(other))
            found = sorted(name for name, *_ in differences(connection))
        engine.dispose()
        assert found == ["add_index", "add_index", "remove_column", "remove_index"]


def differences(connection: Connection) -> list[Any]:
    """What would have to change in the database to be what the models say."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found = [each for each in compare_metadata(context, Base.metadata) if not about_comments(each)]
    removed, added = (
        {definition(each[1]) for each in found if each[0] == kind}
        for kind in ("remove_index", "add_index")
    )
    worded_differently = removed & added
    return [
        each
        for each in found
        if each[0] not in ("remove_index", "add_index")
        or definition(each[1]) not in worded_differently
    ]


def definition(index: Index) -> str:
    """The statement that makes it, without what PostgreSQL words differently than we do."""
    dialect = make_url("postgresql+psycopg://").get_dialect()()
    statement = str(CreateIndex(index).compile(dialect=dialect))
    return re.sub(r"::\w+|[\s()]", "", statement.lower())


def about_comments(difference: object) -> bool:
    """Comments are written for readers of the database; the models have docstrings."""
    if isinstance(difference, list):
        return all(about_comments(part) for part in difference)
    return isinstance(difference, tuple) and "comment" in difference[0]
