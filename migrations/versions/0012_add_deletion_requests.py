"""Adds deletion requests, and what erasing people and their accounts needs."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE deletion_requests (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 4),
    requested_by_id uuid NOT NULL,
    decided_by_id uuid,
    decided_at timestamptz,
    reason text CHECK (length(reason) BETWEEN 1 AND 500),
    events_checked bigint NOT NULL,
    done_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES members,
    FOREIGN KEY (org_id, requested_by_id) REFERENCES members,
    FOREIGN KEY (org_id, decided_by_id) REFERENCES members,
    CONSTRAINT deletion_requests_decided CHECK ((state = 0) = (decided_at IS NULL)),
    CONSTRAINT deletion_requests_done CHECK ((state = 2) = (done_at IS NOT NULL))
);
COMMENT ON COLUMN deletion_requests.state IS
    'rank of pending, approved, done, refused, cancelled (0 to 4)';
-- One that waits, or is being carried out, for each person.
CREATE UNIQUE INDEX deletion_requests_open_key ON deletion_requests (org_id, user_id)
    WHERE state IN (0, 1);
CREATE INDEX deletion_requests_by_state_idx ON deletion_requests (org_id, state, id);
CREATE INDEX deletion_requests_waiting_idx ON deletion_requests (org_id, decided_at)
    WHERE state = 1;
CREATE INDEX deletion_requests_by_user_idx ON deletion_requests (user_id);
GRANT SELECT, INSERT ON deletion_requests TO bugtracker_app;
-- Whom it is about and who asked never changes.
GRANT UPDATE (state, decided_by_id, decided_at, reason, events_checked, done_at, updated_at,
              version)
    ON deletion_requests TO bugtracker_app;
GRANT SELECT ON deletion_requests TO bugtracker_system;
"""

TENANCY = """
ALTER TABLE deletion_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE deletion_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON deletion_requests TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
-- Whoever deletes their account has one in each of their organisations.
CREATE POLICY own ON deletion_requests FOR SELECT TO bugtracker_app
    USING (user_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY system ON deletion_requests TO bugtracker_system USING (true) WITH CHECK (true);
"""

COLUMNS = """
ALTER TABLE accounts ADD COLUMN erasing_since timestamptz;
COMMENT ON COLUMN accounts.erasing_since IS 'When its owner deleted it; nothing brings it back.';
ALTER TABLE members ADD COLUMN erased_login bytea;
ALTER TABLE idempotency_keys ADD COLUMN owner_hash bytea;
CREATE INDEX idempotency_keys_owner_hash_idx ON idempotency_keys (owner_hash)
    WHERE owner_hash IS NOT NULL;
GRANT UPDATE (last_used_ip) ON api_keys TO bugtracker_app;
"""

# erase_account is plpgsql, and volatile: each of its statements sees what was committed while it
# waited for the account.
FUNCTIONS = """
CREATE FUNCTION erase_account(p_account uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    address text;
BEGIN
    SELECT a.email INTO address FROM accounts a
    WHERE a.id = p_account AND NOT a.is_active
      AND (a.deactivated_by_removal OR a.erasing_since IS NOT NULL)
    FOR UPDATE;
    IF address IS NULL
       OR EXISTS (SELECT FROM members m WHERE m.account_id = p_account)
       OR EXISTS (SELECT FROM deletion_requests r WHERE r.user_id = p_account AND r.state = 1)
    THEN
        RETURN false;
    END IF;
    UPDATE events SET changes = '{}' WHERE org_id IS NULL AND account_id = p_account;
    DELETE FROM usernames WHERE email_key = lower(address);
    DELETE FROM accounts WHERE id = p_account;
    RETURN true;
END $$;
COMMENT ON FUNCTION erase_account IS
    'Deletes an account that has ended, with its credentials, sessions and tokens, when no '
    'organisation holds anything of it any more. False where there is none, or it is not so far.';
-- Locking a row takes the right to change something in it.
GRANT SELECT, DELETE, UPDATE (version) ON accounts TO bugtracker_system;

CREATE FUNCTION waiting_deletions(p_before timestamptz) RETURNS TABLE (org_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id FROM deletion_requests r WHERE r.state = 1 AND r.decided_at < p_before
$$;
COMMENT ON FUNCTION waiting_deletions IS
    'Requests of all organisations that were approved before a time and are not done.';

GRANT SELECT, DELETE ON usernames TO bugtracker_system;
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION erase_account(uuid) OWNER TO bugtracker_system;
ALTER FUNCTION waiting_deletions(timestamptz) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION erase_account(uuid), waiting_deletions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_account(uuid), waiting_deletions(timestamptz) TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (TABLE, TENANCY, COLUMNS, FUNCTIONS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
