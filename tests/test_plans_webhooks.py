"""Webhooks that were told of much: lists walk indexes, and claiming reads only what is due."""

import statistics
import time
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from bugtracker.db import lift_timeouts
from bugtracker.embedded import Cluster
from bugtracker.webhooks.dispatch import CLAIM
from tests.plans import MODES, Plan, plan_of
from tests.recorder import recorded
from tests.timing import within
from tests.world import Org, World

DELIVERIES = 5_000
WEBHOOKS = 10

FILL = (
    """
    INSERT INTO webhook_deliveries (org_id, webhook_id, event_id, type, state, attempts, failures,
                                    due_at, created_at, finished_at)
    SELECT org_id, id, gen_random_uuid(), 'issue.updated',
           CASE n % 10 WHEN 0 THEN 'pending' WHEN 1 THEN 'dead' ELSE 'delivered' END, 1, 0,
           CASE n % 10 WHEN 0 THEN now() + interval '1 hour' END, now(),
           CASE WHEN n % 10 > 0 THEN now() END
    FROM webhooks, generate_series(1, :count) n WHERE org_id = :org
    """,
    """
    INSERT INTO webhook_attempts (org_id, webhook_id, event_id, number, started_at, duration_ms,
                                  status)
    SELECT org_id, webhook_id, event_id, 1, now(), 10, 200
    FROM webhook_deliveries WHERE org_id = :org
    """,
)


@pytest.fixture(scope="module")
def told(world: World, cluster: Cluster, database: str) -> tuple[Org, str]:
    """An organisation with webhooks that were told of much, and one of these."""
    org = world.create_org()
    ids = [org.admin.create_webhook()["webhook"]["id"] for _ in range(WEBHOOKS)]
    with world.runtime.db.transaction(org_id=org.id) as session:
        lift_timeouts(session)
        for statement in FILL:
            session.execute(text(statement), {"org": org.id, "count": DELIVERIES})
    engine = create_engine(
        cluster.admin_url(database), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE webhooks, webhook_deliveries, webhook_attempts"))
    return org, ids[0]


def plans(world: World, org: Org, path: str, **query: Any) -> list[Plan]:
    with recorded(world.runtime.db.engine) as statements:
        response = org.admin.get(path, params=query)
    assert response.status_code == 200, response.text
    assert len(statements) == 1
    sql, parameters = statements[-1]
    with world.runtime.db.transaction(org_id=org.id) as session:
        driver = cast(psycopg.Connection, session.connection().connection.driver_connection)
        return [plan_of(driver, sql, parameters, mode) for mode in MODES]


class TestDeliveries:
    def test_every_page_walks_an_index(self, world: World, told: tuple[Org, str]) -> None:
        org, webhook = told
        path = f"/api/webhooks/{webhook}/deliveries"
        for query in ({}, {"state": "dead"}, {"state": "pending"}):
            cursor = org.admin.get(path, params=query).json()["next_cursor"]
            for here in ({}, {"cursor": cursor}):
                for plan in plans(world, org, path, **query, **here):
                    scans = [n for n in plan.nodes() if n.get("Relation Name", "").startswith("w")]
                    assert not plan.sorts, (query, plan)
                    assert sum(n["Actual Rows"] * n["Actual Loops"] for n in scans) <= 80, plan

    def test_an_item_takes_two_statements(self, world: World, told: tuple[Org, str]) -> None:
        org, webhook = told
        path = f"/api/webhooks/{webhook}/deliveries"
        (shown,) = org.admin.get(path, params={"limit": 1}).json()["items"]
        with recorded(world.runtime.db.engine) as statements:
            assert org.admin.get(f"{path}/{shown['event_id']}").is_success
        assert len(statements) == 2


class TestClaiming:
    def test_costs_little_when_nothing_is_due(self, world: World, told: tuple[Org, str]) -> None:
        org, _ = told
        limits = {"most": 100, "per_endpoint": 8, "seconds": 30}
        seconds = []
        with world.runtime.db.read() as connection:
            for _ in range(20):
                began = time.perf_counter()
                rows = connection.execute(CLAIM, limits).all()
                seconds.append(time.perf_counter() - began)
        assert not [row for row in rows if row.org_id == org.id]
        print(f"claiming nothing of {DELIVERIES * WEBHOOKS}: {statistics.median(seconds):.4f} s")
        assert statistics.median(seconds) < within(0.02)

    def test_takes_a_fair_share_of_each(self, world: World, told: tuple[Org, str]) -> None:
        org, _ = told
        events = "UPDATE webhook_deliveries SET due_at = now() WHERE state = 'pending'"
        ours = (
            "INSERT INTO events (id, org_id, action, resource_type, resource_id, changes,"
            " created_at) SELECT DISTINCT event_id, org_id, 'issue.updated', 'issue', event_id,"
            " '{}'::jsonb, now() FROM webhook_deliveries WHERE state = 'pending'"
        )
        with world.runtime.db.transaction(org_id=org.id) as session:
            for statement in (ours, events):
                session.execute(text(statement))
        limits = {"most": 60, "per_endpoint": 8, "seconds": 30}
        taken: list[UUID] = []
        with world.runtime.db.read() as connection:
            for _ in range(3):
                began = time.perf_counter()
                rows = connection.execute(CLAIM, limits).all()
                print(f"claiming {len(rows)}: {time.perf_counter() - began:.4f} s")
                taken += [row.webhook_id for row in rows if row.org_id == org.id]
        counts = {webhook: taken.count(webhook) for webhook in taken}
        assert set(counts.values()) == {8}
        assert len(counts) == WEBHOOKS
