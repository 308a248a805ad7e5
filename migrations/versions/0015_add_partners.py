"""Adds partners, what they asked to be provisioned and how far that is, and organisations'
settings."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PARTNERS = """
CREATE TABLE partners (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 50),
    disabled_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX partners_name_key ON partners (lower(name));

CREATE TABLE partner_keys (
    id uuid PRIMARY KEY,
    partner_id uuid NOT NULL REFERENCES partners,
    prefix text NOT NULL CHECK (prefix ~ '^bp_[a-z0-9]{8}$'),
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    secret_encrypted bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz
);
COMMENT ON COLUMN partner_keys.expires_at IS 'When the overlap after a rotation ends.';
CREATE UNIQUE INDEX partner_keys_key_hash_key ON partner_keys (key_hash);
CREATE INDEX partner_keys_partner_id_idx ON partner_keys (partner_id);

CREATE TABLE partner_nonces (
    partner_id uuid NOT NULL REFERENCES partners,
    nonce text NOT NULL CHECK (length(nonce) <= 64),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (partner_id, nonce)
);
COMMENT ON TABLE partner_nonces IS
    'Nonces of signed requests, until their timestamp is too old to be sent again.';
CREATE INDEX partner_nonces_expires_at_idx ON partner_nonces (expires_at);
"""

SAGAS = """
CREATE TABLE provisionings (
    id uuid PRIMARY KEY,
    partner_id uuid NOT NULL REFERENCES partners,
    reference text NOT NULL CHECK (length(reference) BETWEEN 1 AND 100),
    fingerprint bytea NOT NULL,
    request jsonb,
    state text NOT NULL
        CHECK (state IN ('pending', 'running', 'completed', 'compensating', 'failed')),
    organisation_id uuid NOT NULL,
    failure_code text,
    failure_detail text,
    attempts integer NOT NULL,
    request_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT provisionings_partner_id_reference_key UNIQUE (partner_id, reference)
);
COMMENT ON TABLE provisionings IS
    'Sagas: organisations that partners asked for. organisation_id is no reference: it is chosen '
    'before the organisation is made, and kept when that was undone.';
COMMENT ON COLUMN provisionings.request IS 'What was asked for, until it is done or undone.';
CREATE INDEX provisionings_unfinished_idx ON provisionings (updated_at)
    WHERE state IN ('pending', 'running', 'compensating');

CREATE TABLE provisioning_steps (
    provisioning_id uuid NOT NULL REFERENCES provisionings,
    position smallint NOT NULL,
    name text NOT NULL
        CHECK (name IN ('organisation', 'owner', 'settings', 'project', 'invitation')),
    finished_at timestamptz,
    undone_at timestamptz,
    PRIMARY KEY (provisioning_id, position)
);
"""

SETTINGS = """
CREATE TABLE organisation_settings (
    org_id uuid PRIMARY KEY REFERENCES organisations ON DELETE CASCADE,
    language text NOT NULL CHECK (language IN ('en', 'hi', 'de')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL
);
CREATE POLICY tenant ON organisation_settings TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY system ON organisation_settings TO bugtracker_system
    USING (true) WITH CHECK (true);
ALTER TABLE organisation_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE organisation_settings FORCE ROW LEVEL SECURITY;
"""

# The API can delete nothing of a tenant. This can, and looks itself whether it may: an organisation
# that somebody has joined was handed over, whatever its saga says.
UNDOING = """
CREATE FUNCTION undo_provisioning_step(p_provisioning uuid, p_step text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this_org uuid;
BEGIN
    SELECT organisation_id INTO this_org FROM provisionings
    WHERE id = p_provisioning AND state = 'compensating';
    IF this_org IS NULL THEN
        RAISE EXCEPTION 'this provisioning is not being undone';
    END IF;
    IF EXISTS (SELECT FROM members WHERE org_id = this_org AND account_id IS NOT NULL) THEN
        RAISE EXCEPTION 'somebody has joined this organisation';
    END IF;
    CASE p_step
        WHEN 'project' THEN DELETE FROM projects WHERE org_id = this_org;
        WHEN 'settings' THEN DELETE FROM organisation_settings WHERE org_id = this_org;
        WHEN 'owner' THEN DELETE FROM invitations WHERE org_id = this_org;
        WHEN 'organisation' THEN DELETE FROM organisations WHERE id = this_org;
    END CASE;
END $$;
COMMENT ON FUNCTION undo_provisioning_step IS
    'Takes back what one step of a saga made that is being compensated; events of the '
    'organisation go with its last step.';
"""

RIGHTS = """
GRANT SELECT, INSERT ON partners, partner_keys, partner_nonces TO bugtracker_app;
GRANT UPDATE (disabled_at) ON partners TO bugtracker_app;
GRANT UPDATE (expires_at, secret_encrypted) ON partner_keys TO bugtracker_app;
GRANT DELETE ON partner_nonces TO bugtracker_app;
GRANT SELECT, INSERT, UPDATE ON provisionings, provisioning_steps, organisation_settings
    TO bugtracker_app;

GRANT SELECT ON provisionings TO bugtracker_system;
GRANT SELECT, DELETE ON organisations, organisation_settings, projects, invitations
    TO bugtracker_system;
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION undo_provisioning_step(uuid, text) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION undo_provisioning_step(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION undo_provisioning_step(uuid, text) TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (PARTNERS, SAGAS, SETTINGS, UNDOING, RIGHTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
