"""Adds the statistics of projects, which read the record, and the counts of requests."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Only what a status was changed to, in the order of an issue's versions: a project's statistics
# read all of it, and nothing else of the record.
STATUSES = """
CREATE INDEX events_of_statuses_idx ON events (org_id, project_id, issue_id, resource_version, id)
    WHERE resource_type = 'issue' AND action <> 'issue.created' AND changes ? 'status';
"""

# Whole minutes and hours, counted apart: what is counted late is never missing in its hour.
COUNTS = """
CREATE TABLE request_{unit}s (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    {unit} timestamptz NOT NULL,
    operation text NOT NULL,
    allowed bigint NOT NULL CHECK (allowed >= 0),
    limited bigint NOT NULL CHECK (limited >= 0),
    PRIMARY KEY (org_id, {unit}, operation)
);
CREATE INDEX request_{unit}s_by_{unit}_idx ON request_{unit}s ({unit});
ALTER TABLE request_{unit}s ENABLE ROW LEVEL SECURITY;
ALTER TABLE request_{unit}s FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON request_{unit}s TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY system ON request_{unit}s TO bugtracker_system USING (true) WITH CHECK (true);
GRANT SELECT ON request_{unit}s TO bugtracker_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON request_{unit}s TO bugtracker_system;
"""

COMMENTS = """
COMMENT ON TABLE request_minutes IS
    'Requests of an organisation in a minute, by operation: let through, and refused by a limit.';
COMMENT ON TABLE request_hours IS 'The same in an hour; kept for longer.';
"""

# Sorted, so that processes that count at once wait for each other and do not deadlock.
FUNCTIONS = """
CREATE FUNCTION add_request_counts(p_counts jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH given AS MATERIALIZED (
        SELECT c.* FROM jsonb_to_recordset(p_counts) AS c
            (org_id uuid, minute timestamptz, operation text, allowed bigint, limited bigint)
        JOIN organisations o ON o.id = c.org_id
    ), minutes AS (
        INSERT INTO request_minutes AS m (org_id, minute, operation, allowed, limited)
        SELECT org_id, minute, operation, allowed, limited FROM given
        ORDER BY org_id, minute, operation
        ON CONFLICT (org_id, minute, operation) DO UPDATE
        SET allowed = m.allowed + excluded.allowed, limited = m.limited + excluded.limited
    )
    INSERT INTO request_hours AS h (org_id, hour, operation, allowed, limited)
    SELECT org_id, date_trunc('hour', minute, 'UTC') AS hour, operation, sum(allowed), sum(limited)
    FROM given GROUP BY org_id, hour, operation ORDER BY org_id, hour, operation
    ON CONFLICT (org_id, hour, operation) DO UPDATE
    SET allowed = h.allowed + excluded.allowed, limited = h.limited + excluded.limited
$$;
COMMENT ON FUNCTION add_request_counts IS
    'Adds what a process counted to its minutes and hours, of all organisations that still exist.';

CREATE FUNCTION prune_request_counts(p_minutes timestamptz, p_hours timestamptz, p_most integer)
RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH minutes AS (
        DELETE FROM request_minutes WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM request_minutes WHERE minute < p_minutes LIMIT p_most))
        RETURNING 1
    ), hours AS (
        DELETE FROM request_hours WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM request_hours WHERE hour < p_hours LIMIT p_most))
        RETURNING 1
    )
    SELECT greatest((SELECT count(*) FROM minutes), (SELECT count(*) FROM hours))::integer
$$;
COMMENT ON FUNCTION prune_request_counts IS
    'Forgets up to p_most minutes and hours before these moments; returns the larger number.';

GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION add_request_counts(jsonb) OWNER TO bugtracker_system;
ALTER FUNCTION prune_request_counts(timestamptz, timestamptz, integer) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION add_request_counts(jsonb),
    prune_request_counts(timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_request_counts(jsonb),
    prune_request_counts(timestamptz, timestamptz, integer) TO bugtracker_app;
"""


def upgrade() -> None:
    op.execute(STATUSES)
    for unit in ("minute", "hour"):
        op.execute(COUNTS.format(unit=unit))
    op.execute(COMMENTS)
    op.execute(FUNCTIONS)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
