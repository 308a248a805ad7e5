"""Statistics of a project with 20,000 issues read their part of the record by its index.

With the helpers of :mod:`tests.test_plans`.
"""

from uuid import UUID

import pytest
from sqlalchemy import text

from bugtracker.embedded import Cluster
from bugtracker.importing.bulk import lift_timeouts
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
