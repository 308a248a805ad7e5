"""Leaves comments alone that are inserted together with their documents, as an import does.

Before, its trigger parsed all comments, one after another on the connection that also writes rows.
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# The document of an issue that was inserted with it holds the words of such comments already.
# A subquery of one value, not EXISTS: see 0025.
NEW_COMMENTS = """
CREATE OR REPLACE FUNCTION index_new_comments() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    fresh record;
BEGIN
    FOR fresh IN
        WITH parsed AS MATERIALIZED (
            SELECT c.org_id, c.issue_id, c.id, c.created_at,
                   to_tsvector('english', c.content) AS words
            FROM added c
            WHERE (SELECT true FROM comment_documents d
                   WHERE d.org_id = c.org_id AND d.comment_id = c.id) IS NULL
        ), together AS (
            SELECT org_id, issue_id,
                   joined_words(words ORDER BY created_at, id)
                       FILTER (WHERE bytes < 500000) AS words
            FROM (
                SELECT parsed.*, sum(pg_column_size(words)) OVER (
                    PARTITION BY org_id, issue_id ORDER BY created_at, id
                ) AS bytes
                FROM parsed
            ) sized
            GROUP BY org_id, issue_id
        ), about AS MATERIALIZED (
            SELECT i.org_id, i.project_id, i.id AS issue_id, i.title, i.description, t.words,
                   issue_scope(i.org_id, i.project_id) AS scope,
                   (SELECT true FROM issue_documents d
                    WHERE d.org_id = t.org_id AND d.issue_id = t.issue_id) AS is_documented
            FROM together t CROSS JOIN LATERAL (
                SELECT * FROM issues WHERE org_id = t.org_id AND id = t.issue_id LIMIT 1
            ) i
        ), documented AS (
            INSERT INTO comment_documents (org_id, project_id, comment_id, document)
            SELECT a.org_id, a.project_id, p.id, a.scope || setweight(p.words, 'C')
            FROM parsed p JOIN about a ON a.org_id = p.org_id AND a.issue_id = p.issue_id
        ), begun AS (
            INSERT INTO issue_documents (org_id, project_id, issue_id, document)
            SELECT org_id, project_id, issue_id, scope || issue_text(title, description) || words
            FROM about WHERE is_documented IS NULL
        )
        SELECT org_id, issue_id, words
        FROM about WHERE is_documented ORDER BY org_id, issue_id
    LOOP
        BEGIN
            UPDATE issue_documents SET document = document || fresh.words
            WHERE org_id = fresh.org_id AND issue_id = fresh.issue_id;
        EXCEPTION WHEN program_limit_exceeded THEN
            NULL;  -- a document may have 1 MB: beyond it, later comments are not searchable
        END;
    END LOOP;
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    """Runs the SQL as it stands: psycopg interprets no ``%`` where there are no parameters."""
    op.get_bind().connection.driver_connection.execute(NEW_COMMENTS)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
