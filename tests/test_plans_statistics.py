"""Statistics of a project with 20,000 issues read their part of the record by its index, those of
requests their hour or day.

With the helpers of :mod:`tests.test_plans`.
"""

from uuid import UUID

import pytest
from sqlalchemy import NullPool, create_engine, text

from bugtracker.db import lift_timeouts
from bugtracker.embedded import Cluster
from tests.test_plans import ISSUES, Big, _fill, _fill_around
from tests.world import World

# Each issue went through three statuses, and had its title changed as often.
CHANGES = """
    INSERT INTO events (id, org_id, action, actor_id, resource_type, resource_id, resource_version,
                        project_id, issue_id, changes, created_at)
    SELECT gen_random_uuid(), org_id, 'issue.updated', reporter_id, 'issue', id, 1 + n,
           project_id, id,
           CASE WHEN n % 2 = 0 THEN '{"title": ["A", "B"]}'::jsonb
                ELSE jsonb_build_object('status', jsonb_build_array('open',
                    (ARRAY['in_progress', 'resolved', 'closed'])[1 + n / 2])) END,
           created_at + n * interval '1 hour'
    FROM issues, generate_series(1, 6) n WHERE project_id = :project
"""

# A day of minutes here, an hour of them in each other organisation.
COUNTS = """
    INSERT INTO request_minutes (org_id, minute, operation, allowed, limited)
    SELECT id, date_trunc('minute', now()) - n * interval '1 minute', operation, 9, 1
    FROM organisations, unnest(ARRAY['get_issue', 'list_issues', 'update_issue']) operation,
         generate_series(1, CASE WHEN id = :org THEN 1440 ELSE 60 END) n
"""


@pytest.fixture(scope="module")
def big(empty_world: World, cluster: Cluster) -> Big:
    """A big project, beside a smaller one in the same organisation and many other tenants."""
    org = empty_world.create_org()
    projects = [org.owner.create_project(name=name) for name in ("Big", "Other")]
    for project, count in zip(projects, (ISSUES, 2_000), strict=True):
        _fill(empty_world, org, project, count)
        with empty_world.runtime.db.transaction(org_id=org.id) as session:
            lift_timeouts(session)
            session.execute(text(CHANGES), {"project": UUID(project["id"])})
    _fill_around(empty_world, cluster)
    return Big(empty_world, org, projects[0], {}, "")


class TestProjectStatistics:
    def test_reads_what_is_about_statuses_and_nothing_else(self, big: Big) -> None:
        path = f"/api/projects/{big.project['id']}/statistics"
        for plan in big.plans(path, interval="week"):
            assert "events_of_statuses_idx" in plan.indexes, plan
            assert plan.read_whole <= {"issues"}, plan
            events = [node for node in plan.nodes() if node.get("Relation Name") == "events"]
            # Some of the newest are later than now.
            rows = sum(int(node["Actual Rows"]) for node in events)
            assert 2.9 * ISSUES < rows <= 3 * ISSUES, plan


class TestRateLimitAnalytics:
    @pytest.fixture(autouse=True)
    def counted(self, big: Big, cluster: Cluster) -> None:
        database = big.world.runtime.db.engine.url.database or ""
        engine = create_engine(
            cluster.admin_url(database), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.execute(text(COUNTS), {"org": big.org.id})
            connection.execute(text("VACUUM ANALYZE request_minutes"))

    def test_reads_the_minutes_asked_about_and_no_others(self, big: Big) -> None:
        for plan in big.plans("/api/analytics/rate-limits", interval="minute"):
            assert "request_minutes_pkey" in plan.indexes, plan
            assert "Seq Scan" not in plan.kinds, plan
            scans = [n for n in plan.nodes() if n.get("Relation Name") == "request_minutes"]
            assert sum(int(node["Actual Rows"]) for node in scans) <= 3 * 61, plan
