"""Parses a new comment once for both of its search documents: the dearest part of an import."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Half of what a document may have: with it, no statement's comments are too much on their own.
WORDS = """
CREATE FUNCTION words_within_limit(words tsvector, more tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN pg_column_size(words) + pg_column_size(more) < 500000
        THEN words || more ELSE words END
$$;
CREATE AGGREGATE all_words(tsvector) (
    SFUNC = words_within_limit, STYPE = tsvector, INITCOND = '', PARALLEL = SAFE
);
COMMENT ON AGGREGATE all_words(tsvector) IS
    'What texts in this order have together, as if they were one; of very much only the first.';
"""

# The project is not joined: that plan would be kept from when there was one comment, for the
# import of thousands.
TRIGGERS = """
CREATE OR REPLACE FUNCTION index_new_comments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fresh record;
BEGIN
    FOR fresh IN
        WITH parsed AS MATERIALIZED (
            SELECT c.org_id, c.issue_id, c.id, c.created_at,
                   to_tsvector('english', c.content) AS words,
                   (SELECT i.project_id FROM issues i
                    WHERE i.org_id = c.org_id AND i.id = c.issue_id) AS project_id
            FROM added c
        ), documented AS (
            INSERT INTO comment_documents (org_id, project_id, comment_id, document)
            SELECT org_id, project_id, id,
                   issue_scope(org_id, project_id) || setweight(words, 'C')
            FROM parsed
        )
        SELECT org_id, issue_id, all_words(words ORDER BY created_at, id) AS words
        FROM parsed GROUP BY org_id, issue_id ORDER BY org_id, issue_id
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

DROP TRIGGER document_new_comments ON comments;
DROP FUNCTION document_new_comments();
"""


def upgrade() -> None:
    """Runs the SQL as it stands: psycopg interprets no ``%`` where there are no parameters."""
    connection = op.get_bind().connection.driver_connection
    for statements in (WORDS, TRIGGERS):
        connection.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
