"""A request's one transaction: read by statements made once, written by a session, ended once."""

from uuid import UUID

import pytest
from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.exc import NoSuchColumnError

from bugtracker.context import BY_NAME
from bugtracker.contract import Contract
from bugtracker.models import Issue, Project
from bugtracker.queries import projects
from bugtracker.runtime import Runtime
from tests.openings import opened_context
from tests.world import Json, Org

TENANT = text("SELECT current_setting('app.org_id', true)")


def renamed(runtime: Runtime, org: Org, project: Json) -> str:
    with runtime.db.transaction(org_id=org.id) as session:
        found = session.scalar(select(Project.name).where(Project.id == UUID(project["id"])))
    return str(found)


class TestWhatIsWritten:
    @pytest.mark.parametrize("reads_first", [True, False])
    @pytest.mark.parametrize("commits", [True, False])
    def test_stays_if_and_only_if_the_request_commits(
        self, runtime: Runtime, contract: Contract, org: Org, *, reads_first: bool, commits: bool
    ) -> None:
        project = org.manager.create_project()
        with opened_context(runtime, contract, org, org.manager) as ctx:
            if reads_first:
                assert projects.find(ctx, project["id"]) is not None
            ctx.session.get_one(Project, (org.id, UUID(project["id"]))).name = "Renamed"
            # Not written yet: ending the request writes it, or never.
            if commits:
                ctx.commit()
        expected = "Renamed" if commits else project["name"]
        assert renamed(runtime, org, project) == expected
        assert runtime.db.engine.pool.status().endswith("Current Checked out connections: 0")

    def test_is_read_in_the_same_request(
        self, runtime: Runtime, contract: Contract, org: Org
    ) -> None:
        project = org.manager.create_project()
        with opened_context(runtime, contract, org, org.manager) as ctx:
            ctx.session.get_one(Project, (org.id, UUID(project["id"]))).name = "Renamed"
            ctx.session.flush()
            found = projects.find(ctx, project["id"])
            assert found is not None
            assert found.name == "Renamed"


class TestTenant:
    def test_is_that_of_the_caller_whoever_looks_and_after_each_ending(
        self, runtime: Runtime, contract: Contract, org: Org
    ) -> None:
        with opened_context(runtime, contract, org, org.manager) as ctx:
            assert ctx.read(TENANT).scalar() == str(org.id)
            assert ctx.session.scalar(TENANT) == str(org.id)
            for end in (ctx.session.rollback, ctx.session.commit, ctx.commit):
                end()
                assert ctx.session.scalar(TENANT) == str(org.id)
                assert ctx.read(TENANT).scalar() == str(org.id)

    def test_ends_with_the_request(self, runtime: Runtime, contract: Contract, org: Org) -> None:
        with opened_context(runtime, contract, org, org.manager) as ctx:
            session = ctx.session
            assert session.scalar(TENANT) == str(org.id)
        with pytest.raises(Exception, match="closed"):
            session.scalar(TENANT)
        with opened_context(runtime, contract, org, org.manager) as ctx:
            pass
        with pytest.raises(RuntimeError, match="nothing was begun"):
            ctx.read(TENANT)

    def test_moves_with_the_context_within_another(
        self, runtime: Runtime, contract: Contract, org: Org
    ) -> None:
        caller, there = org.manager, org.world.create_org()
        org.world.join(caller.id, there.id, "member")
        mine = caller.create_project()
        with opened_context(runtime, contract, org, caller) as ctx:
            assert projects.find(ctx, mine["id"]) is not None
            other = ctx.within(there.id, "member")
            assert other.read(TENANT).scalar() == str(there.id)
            assert projects.find(other, mine["id"]) is None
            # They are one transaction: the first context is there now too, and finds nothing.
            assert projects.find(ctx, mine["id"]) is None


class TestReadingByName:
    def test_is_what_the_option_still_means(
        self, runtime: Runtime, contract: Contract, org: Org
    ) -> None:
        """SQLAlchemy does not document it. With it, the result of a statement that was compiled
        before is asked by name only, and not for the columns of the second, equal statement."""

        def counted() -> tuple[Select[int], ColumnElement[int]]:
            count = func.count(Issue.id).label("many")
            return select(count), count

        with runtime.db.engine.connect() as connection:
            connection.execute(counted()[0])
            statement, count = counted()
            row = connection.execute(statement).one()
            assert row._mapping[count] == row.many == 0
            row = connection.execute(statement, execution_options=BY_NAME).one()
            assert row.many == row[0] == 0
            with pytest.raises(NoSuchColumnError):
                _ = row._mapping[count]

    def test_gives_what_a_session_gives(
        self, runtime: Runtime, contract: Contract, org: Org
    ) -> None:
        project = org.manager.create_project()
        with opened_context(runtime, contract, org, org.manager) as ctx:
            first = projects.find(ctx, project["id"])
            _ = ctx.session
            second = projects.find(ctx, project["id"])
        assert first is not None
        assert second is not None
        assert first._asdict() == second._asdict()
