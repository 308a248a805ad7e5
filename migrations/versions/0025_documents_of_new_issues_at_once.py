"""Makes the search document of a new issue from its comments' words while they are at hand.

Before, an import looked every comment and its document up again, and put words together by a
function in SQL, which is a statement of its own for each.
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

JOINED_WORDS = """
CREATE AGGREGATE joined_words(tsvector) (
    SFUNC = tsvector_concat, STYPE = tsvector, INITCOND = '', PARALLEL = SAFE
);
COMMENT ON AGGREGATE joined_words(tsvector) IS
    'What texts in this order have together, as if they were one. More than 1 MB is an error.';
"""

# EXISTS and joins would be planned as reading all documents there are, and plans are kept. In
# subqueries of one value, and in LATERAL with LIMIT, each is looked up by its key.
#
# What was inserted together with its comments has its document already, by the trigger below; in
# the other order, that one finds it.
NEW_ISSUES = """
CREATE OR REPLACE FUNCTION index_new_issues() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO issue_documents (org_id, project_id, issue_id, document)
    SELECT a.org_id, a.project_id, a.id,
           issue_scope(a.org_id, a.project_id) || issue_text(a.title, a.description)
    FROM added a
    WHERE (SELECT true FROM issue_documents d
           WHERE d.org_id = a.org_id AND d.issue_id = a.id) IS NULL;
    RETURN NULL;
END $$;
"""

# An issue without a document was inserted by this very statement, so all of its comments are here.
# Of more than half a megabyte of words the first are taken: a document may have one.
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
    connection = op.get_bind().connection.driver_connection
    for statements in (JOINED_WORDS, NEW_ISSUES, NEW_COMMENTS):
        connection.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
