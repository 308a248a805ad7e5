"""The job that works on sagas: what it undoes, when it gives up, and what it takes up again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.jobs.provisioning import MAX_ATTEMPTS, _advance, _begin, resume, run
from bugtracker.models import Base, Provisioning
from bugtracker.models.partner import STEPS
from bugtracker.runtime import Runtime
from bugtracker.services.provisioning import defer
from tests.partners import Partner, begun, create_partner, disable, wanted

from .running import eventually, execute, working

JOBS = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'provisioning.run'")


@pytest.fixture
def partner(runtime: Runtime) -> Iterator[Partner]:
    with httpx.Client() as nowhere:
        yield create_partner(runtime, nowhere, "Acme")


@pytest.fixture
def admin(cluster: Cluster, database: str) -> Iterator[Engine]:
    """Sees all tenants, and may break things."""
    engine = owner_engine(cluster.admin_url(database))
    yield engine
    engine.dispose()


def saga_of(runtime: Runtime, saga_id: UUID) -> Provisioning:
    with runtime.db.transaction() as session:
        return session.get_one(Provisioning, saga_id)


def rows_of(admin: Engine, org_id: UUID) -> set[str]:
    """The tenant tables that have anything of an organisation."""
    columns = {t: "org_id" for t in Base.metadata.tables if t != "sessions"}
    columns = {t: c for t, c in columns.items() if c in Base.metadata.tables[t].columns}
    with admin.connect() as connection:
        return {
            table
            for table, column in {**columns, "organisations": "id"}.items()
            if connection.scalar(
                text(f"SELECT EXISTS (SELECT FROM {table} WHERE {column} = :id)"), {"id": org_id}
            )
        }


def undone(admin: Engine, saga_id: UUID) -> list[str]:
    """The steps that were undone, in the order in which they were."""
    query = text(
        "SELECT name FROM provisioning_steps WHERE provisioning_id = :id"
        " AND undone_at IS NOT NULL ORDER BY undone_at"
    )
    with admin.connect() as connection:
        return list(connection.scalars(query, {"id": saga_id}))


class TestUndoing:
    def test_a_partner_disabled_meanwhile_leaves_nothing_behind_after_any_step(
        self, runtime: Runtime, partner: Partner, admin: Engine
    ) -> None:
        begun_sagas = []
        for done in range(len(STEPS)):
            saga_id = begun(runtime, partner.name, wanted())
            _begin(runtime, saga_id)
            assert all(_advance(runtime, saga_id) for _ in range(done))
            org_id = saga_of(runtime, saga_id).organisation_id
            assert ("organisations" in rows_of(admin, org_id)) is (done > 0)
            begun_sagas.append((done, saga_id, org_id))
        disable(runtime, partner)
        with runtime.db.read() as connection:
            connection.execute(text("SELECT number_events()"))
        for done, saga_id, org_id in begun_sagas:
            run(runtime, str(saga_id))
            saga = saga_of(runtime, saga_id)
            assert (saga.state, saga.failure_code) == ("failed", "partner_disabled")
            assert undone(admin, saga_id) == list(reversed(STEPS[:done]))
            assert rows_of(admin, org_id) == set()
            # Once more is nothing more.
            run(runtime, str(saga_id))
            assert saga_of(runtime, saga_id).updated_at == saga.updated_at

    def test_is_what_comes_of_a_step_that_fails_again_and_again(
        self, runtime: Runtime, partner: Partner, admin: Engine
    ) -> None:
        saga_id = begun(runtime, partner.name, wanted())
        org_id = saga_of(runtime, saga_id).organisation_id
        with admin.begin() as connection:
            refusal = "ALTER TABLE projects ADD CONSTRAINT refused CHECK (false) NOT VALID"
            connection.execute(text(refusal))
        for _ in range(MAX_ATTEMPTS):
            with pytest.raises(DBAPIError):
                run(runtime, str(saga_id))
        # What succeeded does not count as a failure of what comes next.
        assert saga_of(runtime, saga_id).state == "running"
        assert "invitations" in rows_of(admin, org_id)
        with pytest.raises(DBAPIError):
            run(runtime, str(saga_id))
        run(runtime, str(saga_id))
        saga = saga_of(runtime, saga_id)
        assert (saga.state, saga.failure_code) == ("failed", "provisioning_failed")
        assert rows_of(admin, org_id) == set()

    def test_the_database_undoes_nothing_but_what_is_being_undone(
        self, runtime: Runtime, partner: Partner, admin: Engine
    ) -> None:
        saga_id = begun(runtime, partner.name, wanted())
        run(runtime, str(saga_id))
        org_id = saga_of(runtime, saga_id).organisation_id
        whole = rows_of(admin, org_id)
        assert whole >= {"organisations", "members", "invitations", "projects", "events"}
        self._refuses(runtime, saga_id, "is not being undone")
        with admin.begin() as connection:
            connection.execute(text("UPDATE provisionings SET state = 'compensating'"))
            joined = text(
                "INSERT INTO accounts (id, username, email, is_active, login_count, created_at,"
                " updated_at, version) VALUES (:id, 'ada', 'ada@example.com', true, 0, now(),"
                " now(), 1)"
            )
            connection.execute(joined, {"id": saga_id})
            joined = text(
                "INSERT INTO members (org_id, user_id, account_id, role, created_at, updated_at,"
                " version) VALUES (:org, :id, :id, 0, now(), now(), 1)"
            )
            connection.execute(joined, {"org": org_id, "id": saga_id})
        self._refuses(runtime, saga_id, "somebody has joined")
        assert rows_of(admin, org_id) == whole

    def _refuses(self, runtime: Runtime, saga_id: UUID, reason: str) -> None:
        undo = text("SELECT undo_provisioning_step(:id, :step)")
        for step in STEPS:
            with runtime.db.read() as connection, pytest.raises(DBAPIError, match=reason):
                connection.execute(undo, {"id": saga_id, "step": step})


class TestResume:
    def test_queues_what_nobody_works_on_once(self, runtime: Runtime, partner: Partner) -> None:
        sagas = [begun(runtime, partner.name, wanted()) for _ in range(3)]
        run(runtime, str(sagas[0]))
        resume(runtime)
        assert self._jobs(runtime) == 0
        execute(runtime, "UPDATE provisionings SET updated_at = now() - interval '2 minutes'")
        run(runtime, str(sagas[1]))
        for _ in range(2):
            resume(runtime)
        assert self._jobs(runtime) == 1

    def test_is_not_kept_from_it_by_the_job_of_a_dead_worker(
        self, runtime: Runtime, partner: Partner
    ) -> None:
        saga_id = begun(runtime, partner.name, wanted())
        with runtime.db.transaction() as session:
            defer(runtime.queue, session, saga_id)
        execute(runtime, "UPDATE procrastinate_jobs SET status = 'doing'")
        execute(runtime, "UPDATE provisionings SET updated_at = now() - interval '2 minutes'")
        resume(runtime)
        assert self._jobs(runtime) == 2
        with working(runtime):
            eventually(lambda: saga_of(runtime, saga_id).state == "completed")

    def _jobs(self, runtime: Runtime) -> int:
        with runtime.db.read() as connection:
            return int(connection.scalar(JOBS) or 0)


def test_two_workers_on_one_saga_do_each_step_once(runtime: Runtime, partner: Partner) -> None:
    saga_id = begun(runtime, partner.name, wanted())
    _begin(runtime, saga_id)
    # With the run that _begin counted no more than a saga may have, else it could be given up.
    runs = MAX_ATTEMPTS - 1
    with ThreadPoolExecutor(runs) as pool:
        list(pool.map(lambda _: run(runtime, str(saga_id)), range(runs)))
    saga = saga_of(runtime, saga_id)
    assert saga.state == "completed"
    actions = text("SELECT action FROM events ORDER BY id")
    with runtime.db.transaction(org_id=saga.organisation_id) as session:
        assert len(list(session.scalars(actions))) == 6
