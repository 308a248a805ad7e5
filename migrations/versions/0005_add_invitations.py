"""Adds invitations: an address, a role, and a one-time token that proves the mailbox."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE invitations (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    role smallint NOT NULL CHECK (role BETWEEN 0 AND 5),
    invited_by_id uuid NOT NULL,
    token_hash bytea,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, invited_by_id) REFERENCES members
);
COMMENT ON COLUMN invitations.role IS
    'rank of owner, admin, manager, developer, member, auditor (0 to 5)';
CREATE UNIQUE INDEX invitations_open_key ON invitations (org_id, lower(email))
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_token_hash_idx ON invitations (token_hash) WHERE token_hash IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON invitations TO bugtracker_app;
GRANT SELECT ON invitations TO bugtracker_system;
"""

TENANCY = """
ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invitations TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY system ON invitations TO bugtracker_system USING (true) WITH CHECK (true);
"""

# Whoever holds a token knows neither its organisation nor has an account there.
FUNCTION = """
CREATE FUNCTION invitation_by_token(p_hash bytea)
RETURNS TABLE (org_id uuid, id uuid, email text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT i.org_id, i.id, i.email FROM invitations i
    WHERE i.token_hash = p_hash AND i.accepted_at IS NULL AND i.revoked_at IS NULL
$$;
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION invitation_by_token(bytea) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION invitation_by_token(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION invitation_by_token(bytea) TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (TABLE, TENANCY, FUNCTION):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
