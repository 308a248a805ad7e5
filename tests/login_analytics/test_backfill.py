"""What an organisation had in its record of events before there were analytics."""

from alembic import command
from sqlalchemy import create_engine, text

from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.migrate import _config, migrate
from tests.test_migrate import empty_database

__all__ = ["empty_database"]

BEFORE = "0009"
ORG, ADA, GONE = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))
SCENE = f"""
INSERT INTO organisations (id, slug, name, created_at, updated_at, version)
VALUES ('{ORG}', 'club', 'Club', now(), now(), 1);
INSERT INTO accounts (id, username, email, is_active, login_count, created_at, updated_at, version)
VALUES ('{ADA}', 'ada', 'ada@example.com', true, 2, now(), now(), 1);
INSERT INTO members (org_id, user_id, account_id, role, created_at, updated_at, version)
VALUES ('{ORG}', '{ADA}', '{ADA}', 1, now(), now(), 1);
INSERT INTO events (id, org_id, action, account_id, resource_type, resource_id, changes, created_at)
SELECT gen_random_uuid(), '{ORG}', action, account_id, 'session', gen_random_uuid(), '{{}}', moment
FROM (VALUES ('login.succeeded', '{ADA}'::uuid), ('login.failed', '{ADA}'),
             ('login.succeeded', '{GONE}')) AS known (action, account_id),
     (VALUES (now()), ('2024-02-29T23:59:59Z')) AS times (moment)
"""


class TestMigration:
    def test_takes_over_the_logins_of_members(self, cluster: Cluster, empty_database: str) -> None:
        owner, admin = (
            owner_engine(cluster.owner_url(empty_database)),
            create_engine(cluster.admin_url(empty_database)),
        )
        with owner.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, BEFORE)
        with admin.begin() as connection:
            connection.execute(text(SCENE))
        migrate(cluster.owner_url(empty_database), cluster.api_url(empty_database))
        with admin.begin() as connection:
            taken = "SELECT user_id::text, to_char(created_at, 'YYYY') FROM login_events"
            rows = {tuple(row) for row in connection.execute(text(taken))}
            assert {user for user, _ in rows} == {ADA}
            assert (len(rows), ("2024" in {year for _, year in rows})) == (2, True)
            days = "SELECT count(*) FROM login_days WHERE rolled_up_at IS NULL"
            assert connection.scalar(text(days)) == 2
        owner.dispose()
        admin.dispose()
