"""Row-level security: what the database itself guarantees about tenants, whatever the code does."""

from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError

from bugtracker.clock import utc_now
from bugtracker.db import Database
from bugtracker.ids import new_id
from bugtracker.models import Comment, Event, Issue, Member, Organisation, Project
from bugtracker.runtime import Runtime
from tests.world import Org, World

TENANT_MODELS = (Member, Project, Issue, Comment, Event)


@pytest.fixture
def two(world: World) -> tuple[Org, Org]:
    """Two organisations with a row in every tenant table."""
    orgs = world.create_org(), world.create_org()
    for org in orgs:
        issue = org.manager.create_issue(org.manager.create_project())
        org.manager.create_comment(issue)
    return orgs


class TestIsolation:
    def test_tenants_that_share_one_connection_see_their_own_rows_only(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        db = Database(runtime.db.engine.url.render_as_string(hide_password=False), pool_size=1)
        pids = set()
        for _ in range(3):
            for org in two:
                with db.transaction(org_id=org.id, account_id=org.manager.id) as session:
                    pids.add(session.scalar(text("SELECT pg_backend_pid()")))
                    for model in TENANT_MODELS:
                        # A person's own events outside any organisation are theirs everywhere.
                        seen = set(session.scalars(select(model.org_id))) - {None}
                        assert seen == {org.id}, model
                    assert set(session.scalars(select(Organisation.id))) == {org.id}
            with db.read() as connection:
                assert connection.scalar(select(func.count()).select_from(Issue)) == 0
        assert len(pids) == 1
        db.close()

    def test_a_transaction_without_tenant_sees_nothing(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        with runtime.db.transaction() as session:
            for model in (*TENANT_MODELS, Organisation):
                assert session.scalar(select(func.count()).select_from(model)) == 0

    @pytest.mark.parametrize("ending", ["commit", "rollback"])
    def test_the_tenant_ends_with_its_transaction(
        self, runtime: Runtime, two: tuple[Org, Org], ending: str
    ) -> None:
        with runtime.db.engine.connect() as connection:
            settings = {"org_id": str(two[0].id)}
            connection.execute(text("SELECT set_config('app.org_id', :org_id, true)"), settings)
            assert connection.scalar(select(func.count()).select_from(Project)) == 1
            getattr(connection, ending)()
            assert connection.scalar(select(func.count()).select_from(Project)) == 0

    def test_a_person_sees_their_memberships_and_nobody_elses(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        person = two[0].manager
        with runtime.db.transaction(account_id=person.id) as session:
            assert session.scalars(select(Member.user_id)).all() == [person.id]
            assert session.scalars(select(Organisation.id)).all() == [two[0].id]

    def test_a_membership_that_ended_shows_no_organisation(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        person = two[0].manager
        with runtime.db.transaction(org_id=two[0].id) as session:
            member = session.get_one(Member, (two[0].id, person.id))
            member.removed_at = utc_now()
        with runtime.db.transaction(account_id=person.id) as session:
            assert session.scalars(select(Organisation.id)).all() == []

    def test_a_row_of_another_organisation_cannot_be_written(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        ours, theirs = two
        with (
            pytest.raises(DBAPIError, match="row-level security"),
            runtime.db.transaction(org_id=ours.id) as session,
        ):
            session.execute(insert(Project).values(project_of(theirs.id, theirs.manager.id)))

    def test_a_row_cannot_be_moved_to_another_organisation(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        ours, theirs = two
        for table in ("events", "members", "projects", "comments"):
            statement = text(f"UPDATE {table} SET org_id = :org_id")
            with (
                pytest.raises(DBAPIError, match=r"row-level security|permission denied"),
                runtime.db.transaction(org_id=ours.id) as session,
            ):
                session.execute(statement, {"org_id": theirs.id})

    def test_a_reference_to_another_organisations_row_is_refused(
        self, runtime: Runtime, two: tuple[Org, Org]
    ) -> None:
        ours, theirs = two
        with (
            pytest.raises(DBAPIError, match="foreign key"),
            runtime.db.transaction(org_id=ours.id) as session,
        ):
            session.execute(insert(Project).values(project_of(ours.id, theirs.manager.id)))

    def test_foreign_rows_cannot_be_changed(self, runtime: Runtime, two: tuple[Org, Org]) -> None:
        ours = two[0]
        with runtime.db.transaction(org_id=ours.id) as session:
            statement = text("UPDATE issues SET title = 'ours' RETURNING org_id")
            assert set(session.scalars(statement)) == {ours.id}


def project_of(org_id: UUID, created_by_id: UUID) -> dict[str, object]:
    now = utc_now()
    return {
        "org_id": org_id,
        "id": new_id(),
        "key": "FOREIGN",
        "name": "Foreign",
        "description": "",
        "created_by_id": created_by_id,
        "is_archived": False,
        "last_issue_number": 0,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
