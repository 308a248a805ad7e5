"""Adds an index for each order of the list of all issues of an organisation."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# As of a project's list in 0001, without the project.
INDEXES = """
CREATE INDEX issues_of_org_by_created_idx ON issues (org_id, created_at, id);
CREATE INDEX issues_of_org_by_updated_idx ON issues (org_id, updated_at, id);
CREATE INDEX issues_of_org_by_priority_idx ON issues (org_id, priority, id);
CREATE INDEX issues_of_org_by_status_idx ON issues (org_id, status, id);
CREATE INDEX issues_of_org_by_due_idx
    ON issues (org_id, (CASE WHEN due_date IS NULL THEN 'infinity'::date ELSE due_date END), id);
-- The filter people use most, in the default order.
CREATE INDEX issues_of_org_by_status_created_idx ON issues (org_id, status, created_at, id);
"""


def upgrade() -> None:
    op.execute(INDEXES)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
