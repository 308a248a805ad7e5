"""Creates the roles, the tables with their tenancy, and the job queue's schema."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"

ROLES = """
DO $$
DECLARE
    wanted text;
    -- Before PostgreSQL 16 every member of a role may set it, and the right has no name.
    may_set constant text := CASE WHEN current_setting('server_version_num')::int >= 160000
        THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['bugtracker_app', 'bugtracker_system'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another database of this cluster was faster
            END;
        END IF;
        IF NOT pg_has_role(current_user, wanted, may_set) THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
    END LOOP;
END $$;
"""

JOBS_BEFORE = "CREATE SCHEMA jobs; SET LOCAL search_path TO jobs;"
JOBS_AFTER = """
SET LOCAL search_path TO public;
GRANT USAGE ON SCHEMA jobs TO bugtracker_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO bugtracker_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO bugtracker_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA jobs TO bugtracker_app;
"""


def upgrade() -> None:
    """Runs the SQL as it stands: psycopg interprets no ``%`` where there are no parameters."""
    connection = op.get_bind().connection.driver_connection
    for statements in (
        ROLES,
        (SQL / "0001_schema.sql").read_text(),
        JOBS_BEFORE,
        (SQL / "procrastinate_3.10.0.sql").read_text(),
        JOBS_AFTER,
    ):
        connection.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
