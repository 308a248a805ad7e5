"""Adds jobs that people can look at, and archives of what is held about somebody."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE background_jobs (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]+[.][a-z_]+$'),
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 4),
    created_by_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    attempts integer NOT NULL,
    done integer NOT NULL CHECK (done >= 0),
    total integer,
    problem text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, created_by_id) REFERENCES members,
    FOREIGN KEY (org_id, subject_id) REFERENCES members,
    CONSTRAINT background_jobs_finish CHECK ((state < 2) = (finished_at IS NULL))
);
COMMENT ON COLUMN background_jobs.state IS
    'rank of queued, running, succeeded, failed, cancelled (0 to 4)';
CREATE UNIQUE INDEX background_jobs_unfinished_key
    ON background_jobs (org_id, subject_id, created_by_id, kind) WHERE finished_at IS NULL;
CREATE INDEX background_jobs_by_subject_idx ON background_jobs (org_id, subject_id);
CREATE INDEX background_jobs_by_creator_idx ON background_jobs (org_id, created_by_id);

CREATE TABLE exports (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    with_account boolean NOT NULL,
    size_bytes bigint,
    chunk_count integer,
    expires_at timestamptz NOT NULL,
    ready_at timestamptz,
    downloaded_at timestamptz,
    cleared_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, id) REFERENCES background_jobs ON DELETE CASCADE
);
CREATE INDEX exports_uncleared_idx ON exports (org_id, expires_at) WHERE cleared_at IS NULL;

CREATE TABLE export_chunks (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    export_id uuid NOT NULL,
    number integer NOT NULL,
    content_encrypted bytea NOT NULL,
    PRIMARY KEY (org_id, export_id, number),
    FOREIGN KEY (org_id, export_id) REFERENCES exports ON DELETE CASCADE
);
COMMENT ON TABLE export_chunks IS
    'Pieces of archives, encrypted; copies that live for a day at most.';
-- Compressed and encrypted already.
ALTER TABLE export_chunks ALTER COLUMN content_encrypted SET STORAGE EXTERNAL;
"""

TENANCY = """
DO $$
DECLARE
    tenant_table text;
    in_this_org constant text :=
        $p$org_id = nullif(current_setting('app.org_id', true), '')::uuid$p$;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['background_jobs', 'exports', 'export_chunks'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I TO bugtracker_app USING (%s) WITH CHECK (%s)',
                       tenant_table, in_this_org, in_this_org);
        EXECUTE format('CREATE POLICY system ON %I TO bugtracker_system'
                       ' USING (true) WITH CHECK (true)', tenant_table);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    END LOOP;
END $$;

GRANT SELECT, INSERT ON background_jobs, exports TO bugtracker_app;
GRANT UPDATE (state, attempts, done, total, problem, started_at, finished_at)
    ON background_jobs TO bugtracker_app;
GRANT UPDATE (size_bytes, chunk_count, expires_at, ready_at, downloaded_at, cleared_at)
    ON exports TO bugtracker_app;
-- Chunks are read by being deleted.
GRANT SELECT, INSERT, DELETE ON export_chunks TO bugtracker_app;
GRANT SELECT ON exports TO bugtracker_system;
"""

FUNCTION = """
CREATE FUNCTION due_exports() RETURNS TABLE (org_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.org_id, e.id FROM exports e
    WHERE e.cleared_at IS NULL
      AND (e.expires_at <= now() OR e.downloaded_at <= now() - interval '1 hour')
    ORDER BY e.org_id, e.id
$$;
COMMENT ON FUNCTION due_exports IS
    'Exports of all organisations to be deleted: expired, or downloaded an hour ago.';
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION due_exports() OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION due_exports() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_exports() TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (TABLES, TENANCY, FUNCTION):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
