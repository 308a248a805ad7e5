"""Who logs in most and who does not, of 1,000 people and 30,000 logins: by index, whoever asks.

Beside other organisations, with the helpers of :mod:`tests.test_plans`.
"""

import pytest
from sqlalchemy import NullPool, create_engine, text

from bugtracker.db import lift_timeouts
from bugtracker.embedded import Cluster
from bugtracker.login_analytics.rollup import roll_up_past
from tests.plans import Plan
from tests.test_plans import LIMIT, Big
from tests.world import Org, World

PEOPLE, DAYS = 1000, 30

FILL = (
    """
    INSERT INTO accounts (id, username, email, verified_at, is_active, login_count, created_at,
                          updated_at, version)
    SELECT gen_random_uuid(), :slug || n, :slug || n || '@example.com', now(), true, 0, now(),
           now(), 1
    FROM generate_series(1, :people) n
    """,
    """
    INSERT INTO members (org_id, user_id, account_id, role, last_login, login_count, created_at,
                         updated_at, version)
    SELECT :org, id, id, 3, now() - random() * interval '100 days', 1, now(), now(), 1
    FROM accounts WHERE username LIKE :slug || '%'
    """,
    """
    INSERT INTO login_events (org_id, created_at, id, user_id)
    SELECT :org, now() - day * interval '1 day' - random() * interval '1 hour',
           gen_random_uuid(), user_id
    FROM members, generate_series(0, :days - 1) day WHERE org_id = :org
    """,
)

# As if the same had happened in each of the three months before.
BEFORE = """
    INSERT INTO login_daily (org_id, date, user_id, count)
    SELECT org_id, date - n * 31, user_id, count FROM login_daily, generate_series(1, 3) n
    WHERE org_id = ANY (:orgs)
"""


def _fill(world: World, org: Org, people: int) -> None:
    with world.runtime.db.transaction(org_id=org.id) as session:
        lift_timeouts(session)
        for statement in FILL:
            values = {"org": org.id, "slug": f"{org.slug}-", "people": people, "days": DAYS}
            names = {name: value for name, value in values.items() if f":{name}" in statement}
            session.execute(text(statement), names)


@pytest.fixture(scope="module")
def big(empty_world: World, cluster: Cluster) -> Big:
    """All days but today are rolled up."""
    world = empty_world
    orgs = [world.create_org() for _ in range(4)]
    for org, people in zip(orgs, (300, 300, 300, PEOPLE), strict=True):
        _fill(world, org, people)
    roll_up_past(world.runtime)
    url = cluster.admin_url(world.runtime.db.engine.url.database or "")
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(BEFORE), {"orgs": [each.id for each in orgs]})
        connection.execute(text("VACUUM ANALYZE members, accounts, login_days, login_daily"))
        connection.execute(text("ANALYZE login_events"))
    engine.dispose()
    return Big(world, org, {}, {}, "")


def logins_read(plan: Plan) -> int:
    """Rows of single logins that were looked at."""
    return sum(
        int(node["Actual Loops"])
        * (int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0)))
        for node in plan.nodes()
        if str(node.get("Relation Name", "")).startswith("y2")
    )


def read_whole(plan: Plan) -> set[str]:
    """Tables of members and logins that are read from end to end."""
    scans = (node for node in plan.nodes() if node["Node Type"] == "Seq Scan")
    tables = {node["Relation Name"] for node in scans if int(node["Actual Loops"])}
    return {name for name in tables if name.startswith(("y2", "login_", "members"))}


class TestTopLogins:
    def test_reads_single_logins_of_marked_days_only(self, big: Big) -> None:
        for window in ("7d", "30d"):
            for plan in big.plans("/api/users/top-logins", window=window):
                assert logins_read(plan) <= PEOPLE + LIMIT, plan
                # Days and members are few; nearly all are of this organisation.
                assert read_whole(plan) <= {"login_days", "members"}, plan


class TestInactive:
    def test_walks_the_index_from_any_cursor(self, big: Big) -> None:
        path = "/api/users/inactive"
        for window in ("hour", "month"):
            query, cursor = {"window": window}, {}
            for _ in range(3):
                for plan in big.plans(path, **query, **cursor):
                    assert "members_by_last_login_idx" in plan.indexes, plan
                    assert not plan.sorts, plan
                    assert not read_whole(plan), plan
                page = big.org.owner.get(path, params={**query, **cursor, "limit": 100}).json()
                cursor = {"cursor": page["next_cursor"]}
