"""Adds webhooks: subscriptions, their secrets, where each organisation's fan-out has got to, and
what is to be delivered, with every attempt."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE webhooks (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    description text NOT NULL CHECK (length(description) <= 500),
    event_types text[] NOT NULL CHECK (cardinality(event_types) BETWEEN 1 AND 50),
    filter text CHECK (length(filter) BETWEEN 1 AND 2000),
    active boolean NOT NULL,
    failing_since timestamptz,
    suspended_at timestamptz,
    suspended_because text CHECK (suspended_because IN ('failing', 'gone')),
    created_by_id uuid NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, created_by_id) REFERENCES members,
    CONSTRAINT webhooks_suspended_for_a_reason
        CHECK ((suspended_at IS NULL) = (suspended_because IS NULL))
);
COMMENT ON COLUMN webhooks.failing_since IS
    'When the first attempt failed behind which none succeeded; null while all is well.';
CREATE INDEX webhooks_by_created_idx ON webhooks (org_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_by_creator_idx ON webhooks (org_id, created_by_id);

CREATE TABLE webhook_secrets (
    org_id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    id uuid NOT NULL,
    secret_encrypted bytea,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, webhook_id, id),
    FOREIGN KEY (org_id, webhook_id) REFERENCES webhooks ON DELETE CASCADE
);
COMMENT ON TABLE webhook_secrets IS
    'All that have not expired sign; the one without an end is the current one. Wiped afterwards.';

CREATE TABLE webhook_cursors (
    org_id uuid NOT NULL PRIMARY KEY REFERENCES organisations ON DELETE CASCADE,
    number bigint NOT NULL,
    login_number bigint NOT NULL,
    logins_due_at timestamptz
);
COMMENT ON TABLE webhook_cursors IS
    'Up to which event number deliveries were made of events, and batches of logins.';

CREATE TABLE webhook_deliveries (
    org_id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    last_number bigint,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts integer NOT NULL,
    failures integer NOT NULL,
    due_at timestamptz,
    leased_until timestamptz,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (org_id, webhook_id, event_id),
    FOREIGN KEY (org_id, webhook_id) REFERENCES webhooks ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_pending_are_due CHECK ((state = 'pending') = (due_at IS NOT NULL))
);
COMMENT ON COLUMN webhook_deliveries.last_number IS
    'Of a batch of logins: the number of its last event; event_id is its first.';
COMMENT ON COLUMN webhook_deliveries.failures IS
    'Failed attempts since it was made or replayed: what the next pause is reckoned from.';
COMMENT ON COLUMN webhook_deliveries.leased_until IS
    'A worker has it in hand; when it is killed, due_at, which is the same, lets others try.';
CREATE INDEX webhook_deliveries_due_idx
    ON webhook_deliveries (org_id, webhook_id, due_at, event_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased_idx
    ON webhook_deliveries (org_id, webhook_id) WHERE leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_by_state_idx
    ON webhook_deliveries (org_id, webhook_id, state, event_id);
CREATE INDEX webhook_deliveries_by_end_idx
    ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE webhook_attempts (
    org_id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    event_id uuid NOT NULL,
    number integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL CHECK (duration_ms >= 0),
    status integer,
    error text,
    PRIMARY KEY (org_id, webhook_id, event_id, number),
    FOREIGN KEY (org_id, webhook_id, event_id) REFERENCES webhook_deliveries ON DELETE CASCADE
);

DO $$
DECLARE
    tenant_table text;
    in_this_org constant text :=
        $p$org_id = nullif(current_setting('app.org_id', true), '')::uuid$p$;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['webhooks', 'webhook_secrets', 'webhook_cursors',
                                        'webhook_deliveries', 'webhook_attempts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I TO bugtracker_app'
                       ' USING (%s) WITH CHECK (%s)', tenant_table, in_this_org, in_this_org);
        EXECUTE format('CREATE POLICY system ON %I TO bugtracker_system'
                       ' USING (true) WITH CHECK (true)', tenant_table);
    END LOOP;
END $$;
"""

FUNCTIONS = """
CREATE FUNCTION webhook_backlogs() RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.org_id FROM webhook_cursors c
    WHERE c.logins_due_at <= now()
       OR EXISTS (SELECT FROM events e WHERE e.org_id = c.org_id AND e.number > c.number)
$$;
COMMENT ON FUNCTION webhook_backlogs IS
    'Organisations with numbered events, or logins to batch, that no deliveries were made of yet.';

CREATE FUNCTION claim_webhook_deliveries(p_most integer, p_per_endpoint integer, p_seconds integer)
RETURNS TABLE (org_id uuid, webhook_id uuid, event_id uuid, type text, last_number bigint,
               attempt integer, failures integer, claimed_at timestamptz, url text,
               secrets bytea[], number bigint, action text, actor_id uuid, resource_type text,
               resource_id uuid, resource_version integer, project_id uuid, issue_id uuid,
               changes jsonb, created_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- One at a time: what another worker has just taken counts, and is seen by what follows.
    PERFORM pg_advisory_xact_lock(hashtext('bugtracker.claim_webhook_deliveries'));
    RETURN QUERY
    WITH endpoint AS MATERIALIZED (
        -- One that fails gets one request at a time, so that many of them take few places.
        SELECT w.org_id, w.id, w.url,
               CASE WHEN w.failing_since IS NULL THEN p_per_endpoint ELSE 1 END
               - (SELECT count(*) FROM webhook_deliveries f
                  WHERE f.org_id = w.org_id AND f.webhook_id = w.id AND f.leased_until > now())
               AS free
        FROM webhooks w
        WHERE w.active AND w.suspended_at IS NULL AND w.deleted_at IS NULL
          AND EXISTS (SELECT FROM webhook_deliveries d
                      WHERE d.org_id = w.org_id AND d.webhook_id = w.id
                        AND d.state = 'pending' AND d.due_at <= now())
        ORDER BY random()
        FOR NO KEY UPDATE SKIP LOCKED
    ), picked AS MATERIALIZED (
        SELECT d.org_id, d.webhook_id, d.event_id, w.url
        FROM endpoint w CROSS JOIN LATERAL (
            SELECT * FROM webhook_deliveries d
            WHERE d.org_id = w.org_id AND d.webhook_id = w.id
              AND d.state = 'pending' AND d.due_at <= now()
            ORDER BY d.due_at, d.event_id LIMIT greatest(w.free, 0)
            FOR NO KEY UPDATE SKIP LOCKED
        ) d
        LIMIT p_most
    ), claimed AS (
        UPDATE webhook_deliveries d
        SET attempts = d.attempts + 1, due_at = now() + p_seconds * interval '1 second',
            leased_until = now() + p_seconds * interval '1 second'
        FROM picked p
        WHERE (d.org_id, d.webhook_id, d.event_id) = (p.org_id, p.webhook_id, p.event_id)
        RETURNING d.*, p.url
    )
    SELECT c.org_id, c.webhook_id, c.event_id, c.type, c.last_number, c.attempts, c.failures, now(),
           c.url,
           (SELECT array_agg(s.secret_encrypted ORDER BY s.created_at DESC) FROM webhook_secrets s
            WHERE s.org_id = c.org_id AND s.webhook_id = c.webhook_id
              AND s.secret_encrypted IS NOT NULL
              AND (s.expires_at IS NULL OR s.expires_at > now())),
           e.number, e.action, e.actor_id, e.resource_type, e.resource_id, e.resource_version,
           e.project_id, e.issue_id, e.changes, e.created_at
    FROM claimed c JOIN events e ON e.id = c.event_id AND e.org_id = c.org_id
    ORDER BY c.event_id;
END $$;
COMMENT ON FUNCTION claim_webhook_deliveries IS
    'Leases up to p_most due deliveries, at most p_per_endpoint of an endpoint at a time, to the '
    'worker that asks, with all it needs to send them.';

CREATE FUNCTION prune_webhook_deliveries(p_before timestamptz, p_most integer) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT org_id, webhook_id, event_id FROM webhook_deliveries
        WHERE finished_at < p_before LIMIT p_most
    ), wiped AS (
        UPDATE webhook_secrets SET secret_encrypted = NULL
        WHERE expires_at < now() AND secret_encrypted IS NOT NULL
    ), gone AS (
        DELETE FROM webhook_deliveries d USING old o
        WHERE (d.org_id, d.webhook_id, d.event_id) = (o.org_id, o.webhook_id, o.event_id)
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
COMMENT ON FUNCTION prune_webhook_deliveries IS
    'Forgets up to p_most deliveries that ended, well or badly, before a moment, and all secrets '
    'that have expired.';
"""

RIGHTS = """
GRANT SELECT, INSERT ON webhooks, webhook_secrets, webhook_cursors, webhook_deliveries,
    webhook_attempts TO bugtracker_app;
GRANT UPDATE (url, description, event_types, filter, active, failing_since, suspended_at,
              suspended_because, deleted_at, updated_at, version) ON webhooks TO bugtracker_app;
GRANT UPDATE (secret_encrypted, expires_at) ON webhook_secrets TO bugtracker_app;
GRANT UPDATE (number, login_number, logins_due_at) ON webhook_cursors TO bugtracker_app;
GRANT UPDATE (state, failures, due_at, leased_until, finished_at)
    ON webhook_deliveries TO bugtracker_app;

GRANT SELECT ON webhooks, webhook_secrets, webhook_cursors, webhook_deliveries TO bugtracker_system;
GRANT UPDATE (failing_since) ON webhooks TO bugtracker_system;
GRANT UPDATE (secret_encrypted) ON webhook_secrets TO bugtracker_system;
GRANT UPDATE (attempts, due_at, leased_until), DELETE ON webhook_deliveries TO bugtracker_system;
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION webhook_backlogs() OWNER TO bugtracker_system;
ALTER FUNCTION claim_webhook_deliveries(integer, integer, integer) OWNER TO bugtracker_system;
ALTER FUNCTION prune_webhook_deliveries(timestamptz, integer) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION webhook_backlogs(), claim_webhook_deliveries(integer, integer, integer),
    prune_webhook_deliveries(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhook_backlogs(), claim_webhook_deliveries(integer, integer, integer),
    prune_webhook_deliveries(timestamptz, integer) TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (TABLES, FUNCTIONS, RIGHTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
