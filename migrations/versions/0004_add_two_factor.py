"""Adds two-factor authentication: seeds, backup codes, and what a login waits for its code with."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE two_factor (
    account_id uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    session_id uuid NOT NULL,
    seed_encrypted bytea NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz
);
CREATE TABLE backup_codes (
    account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (account_id, code_hash)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON two_factor, backup_codes TO bugtracker_app;
ALTER TABLE one_time_tokens ADD COLUMN wanted_org_id uuid;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
