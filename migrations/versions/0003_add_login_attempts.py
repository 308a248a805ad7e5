"""Adds the counter of failed logins, and lets people read the events of their own account."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE login_attempts (
    key bytea PRIMARY KEY,
    attempts integer NOT NULL,
    window_ends_at timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX login_attempts_window_ends_at_idx ON login_attempts (window_ends_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON login_attempts TO bugtracker_app;
"""

POLICY = """
CREATE POLICY account ON events FOR SELECT TO bugtracker_app
    USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(POLICY)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
