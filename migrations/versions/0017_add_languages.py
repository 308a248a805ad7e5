"""Lets people choose the language of their mails and answers."""

from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

# Which languages there are, the contract says: one more needs no migration.
COLUMN = """
ALTER TABLE accounts ADD COLUMN language text
    CONSTRAINT accounts_language_is_a_tag CHECK (language ~ '^[a-z]{2,8}$');
COMMENT ON COLUMN accounts.language IS 'Null: as each request says.';
"""


def upgrade() -> None:
    op.execute(COLUMN)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
