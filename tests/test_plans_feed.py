"""A long record: the feed reads little of it to find its place, and a span at most to go on."""

from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from bugtracker.embedded import Cluster
from tests.plans import MODES, Plan, plan_of
from tests.recorder import recorded
from tests.world import Org, World

EVENTS = 30_000
FEED = "/api/events"
FILL = """
INSERT INTO events (id, org_id, number, action, resource_type, resource_id, changes, created_at)
SELECT gen_random_uuid(), :org, 1000 + n,
       CASE n % 100 WHEN 0 THEN 'comment.created' ELSE 'issue.updated' END, 'issue',
       gen_random_uuid(), '{}'::jsonb, now() - interval '20 days' + n * interval '1 second'
FROM generate_series(1, :count) n
"""


@pytest.fixture(scope="module")
def busy(world: World, cluster: Cluster, database: str) -> Org:
    """An organisation in which much happened."""
    org = world.create_org()
    engine = create_engine(
        cluster.admin_url(database), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(FILL), {"org": org.id, "count": EVENTS})
        connection.execute(text("VACUUM ANALYZE events"))
    return org


def plans(world: World, org: Org, **query: Any) -> list[Plan]:
    """Of all statements but that which sets the tenant."""
    with recorded(world.runtime.db.engine) as statements:
        response = org.auditor.get(FEED, params=query)
    assert response.status_code == 200, response.text
    with world.runtime.db.transaction(org_id=org.id) as session:
        driver = cast(psycopg.Connection, session.connection().connection.driver_connection)
        return [
            plan_of(driver, sql, parameters, mode)
            for sql, parameters in statements[1:]
            for mode in MODES
        ]


def middle(org: Org) -> str:
    """A cursor in the middle of the record, by way of rare events."""
    cursor = "beginning"
    for _ in range(2):
        query = {"after": cursor, "types": "comment.*", "limit": 50}
        cursor = org.auditor.get(FEED, params=query).json()["next_cursor"]
    return cursor


class TestFeed:
    @pytest.mark.parametrize("types", [{}, {"types": "comment.*"}, {"types": "user.*"}])
    def test_walks_indexes_and_reads_no_more_than_a_span(
        self, world: World, busy: Org, types: dict[str, str]
    ) -> None:
        most = 5_000 if types else 25
        for after in ("beginning", middle(busy)):
            for plan in plans(world, busy, after=after, **types):
                assert not plan.read_whole, plan
                # Few events of a type are found by it, and put in order.
                assert types or not plan.sorts, plan
                scans = [node for node in plan.nodes() if "Index Name" in node]
                read = sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                           for node in scans)  # fmt: skip
                assert read <= most, plan
