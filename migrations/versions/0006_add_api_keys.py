"""Adds API keys, and the key that an event came by."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE api_keys (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix text NOT NULL CHECK (prefix ~ '^bt_[a-z0-9]{8}$'),
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 50),
    created_by_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    last_used_ip inet,
    revoked_at timestamptz,
    replaced_by_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, created_by_id) REFERENCES members,
    FOREIGN KEY (org_id, replaced_by_id) REFERENCES api_keys,
    CONSTRAINT api_keys_expire CHECK (expires_at <= created_at + interval '367 days')
);
COMMENT ON COLUMN api_keys.expires_at IS
    'When it stops working; rotating it moves this to the end of the overlap.';
CREATE UNIQUE INDEX api_keys_key_hash_key ON api_keys (key_hash);
CREATE INDEX api_keys_by_created_idx ON api_keys (org_id, created_at, id);
CREATE INDEX api_keys_by_creator_idx ON api_keys (org_id, created_by_id);

CREATE POLICY tenant ON api_keys TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY system ON api_keys TO bugtracker_system USING (true) WITH CHECK (true);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;

-- What a key is and may do never changes: the API has no right to.
GRANT SELECT, INSERT ON api_keys TO bugtracker_app;
GRANT UPDATE (name, expires_at, revoked_at, replaced_by_id, updated_at, version)
    ON api_keys TO bugtracker_app;
GRANT SELECT, UPDATE (last_used_at, last_used_ip) ON api_keys TO bugtracker_system;

ALTER TABLE events ADD COLUMN api_key_id uuid;
COMMENT ON COLUMN events.api_key_id IS 'The API key the actor used; null for a session.';
"""

FUNCTIONS = """
CREATE FUNCTION live_api_key(p_hash bytea)
RETURNS TABLE (org_id uuid, api_key_id uuid, scopes text[], account_id uuid, username text,
               role smallint, is_use_due boolean)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT k.org_id, k.id, k.scopes, a.id, a.username, m.role,
           coalesce(k.last_used_at < now() - interval '1 minute', true)
    FROM api_keys k
    JOIN members m ON m.org_id = k.org_id AND m.user_id = k.created_by_id AND m.removed_at IS NULL
    JOIN accounts a ON a.id = m.account_id
    WHERE k.key_hash = p_hash AND k.revoked_at IS NULL AND k.expires_at > now()
      AND a.is_active AND a.verified_at IS NOT NULL
$$;
COMMENT ON FUNCTION live_api_key IS
    'Whose an API key is, its scopes and its creator''s role now; no row when either has ended.';

CREATE FUNCTION note_api_key_use(p_org uuid, p_key uuid, p_ip inet) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE api_keys k SET last_used_at = now(), last_used_ip = p_ip
    FROM (SELECT d.org_id, d.id FROM api_keys d
          WHERE d.org_id = p_org AND d.id = p_key
            AND coalesce(d.last_used_at < now() - interval '1 minute', true)
          FOR NO KEY UPDATE SKIP LOCKED) due
    WHERE k.org_id = due.org_id AND k.id = due.id
$$;
COMMENT ON FUNCTION note_api_key_use IS
    'Writes down that a key is in use, once a minute; never waits for somebody else to do so.';

GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION live_api_key(bytea) OWNER TO bugtracker_system;
ALTER FUNCTION note_api_key_use(uuid, uuid, inet) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION live_api_key(bytea), note_api_key_use(uuid, uuid, inet) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_api_key(bytea), note_api_key_use(uuid, uuid, inet)
    TO bugtracker_app;
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(FUNCTIONS)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
