"""Writes an issue's search document once where its comments come in the same statement.

Before, an import wrote it with the issue and again with the comments, each time with all of its
entries in the GIN index. Issues without comments are documented as before, but all of a statement
at once.
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# ``||`` of text and uuid is only STABLE, which kept the function from being put in its callers'
# place: a call of its own for each document.
SCOPE = """
CREATE OR REPLACE FUNCTION issue_scope(org_id uuid, project_id uuid) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(ARRAY['o:' || org_id::text, 'p:' || project_id::text])
$$;
"""

# A statement may insert issues and, in a WITH, their comments. Whichever trigger comes first, the
# document is whole in the end: this one looks for comments that are documented, the other one for
# a document to add words to. Subqueries and enable_seqscan: each comment is looked up by its key,
# whatever the statistics were when a connection kept the plan.
NEW_ISSUES = """
CREATE FUNCTION index_new_issues() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO issue_documents (org_id, project_id, issue_id, document)
    SELECT a.org_id, a.project_id, a.id,
           issue_scope(a.org_id, a.project_id) || issue_text(a.title, a.description) || (
               SELECT all_words((
                   SELECT setweight(d.document, 'D') FROM comment_documents d
                   WHERE d.org_id = c.org_id AND d.comment_id = c.id
               ) ORDER BY c.created_at, c.id)
               FROM comments c WHERE c.org_id = a.org_id AND c.issue_id = a.id)
    FROM added a;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER index_issue AFTER UPDATE OF title, description, project_id ON issues
    FOR EACH ROW EXECUTE FUNCTION index_issue();
CREATE TRIGGER index_new_issues AFTER INSERT ON issues REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION index_new_issues();
"""

NEW_COMMENTS = """
CREATE OR REPLACE FUNCTION index_new_comments() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    fresh record;
BEGIN
    FOR fresh IN
        WITH parsed AS MATERIALIZED (
            SELECT c.org_id, c.issue_id, c.id, c.created_at,
                   to_tsvector('english', c.content) AS words,
                   (SELECT i.project_id FROM issues i
                    WHERE i.org_id = c.org_id AND i.id = c.issue_id) AS project_id,
                   (SELECT true FROM issue_documents d
                    WHERE d.org_id = c.org_id AND d.issue_id = c.issue_id) AS is_documented
            FROM added c
        ), documented AS (
            INSERT INTO comment_documents (org_id, project_id, comment_id, document)
            SELECT org_id, project_id, id,
                   issue_scope(org_id, project_id) || setweight(words, 'C')
            FROM parsed
        )
        SELECT org_id, issue_id, all_words(words ORDER BY created_at, id) AS words
        FROM parsed WHERE is_documented
        GROUP BY org_id, issue_id ORDER BY org_id, issue_id
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
    for statements in (SCOPE, NEW_ISSUES, NEW_COMMENTS):
        connection.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
