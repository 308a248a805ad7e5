"""Lets one search find comments, and the newest things with a word that everybody uses."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE comment_documents (
    org_id uuid NOT NULL,
    project_id uuid NOT NULL,
    comment_id uuid NOT NULL,
    document tsvector NOT NULL,
    PRIMARY KEY (org_id, comment_id),
    FOREIGN KEY (org_id, comment_id) REFERENCES comments ON DELETE CASCADE
);
COMMENT ON TABLE comment_documents IS
    'What search sees of a comment by itself, kept by triggers; see issue_documents.';

ALTER TABLE comment_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE comment_documents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON comment_documents TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY system ON comment_documents TO bugtracker_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON comment_documents TO bugtracker_app;
GRANT SELECT ON comment_documents TO bugtracker_system;
"""

TRIGGERS = """
CREATE FUNCTION comment_text(content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('english', content), 'C')
$$;

-- Not a join: its plan would be kept from when there was one comment, for the import of thousands.
CREATE FUNCTION document_new_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO comment_documents (org_id, project_id, comment_id, document)
    SELECT org_id, project_id, id, issue_scope(org_id, project_id) || comment_text(content)
    FROM (SELECT c.*, (SELECT i.project_id FROM issues i
                       WHERE i.org_id = c.org_id AND i.id = c.issue_id) AS project_id
          FROM added c OFFSET 0) placed;
    RETURN NULL;
END $$;

CREATE FUNCTION document_edited_comment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE comment_documents
    SET document = issue_scope(org_id, project_id) || comment_text(NEW.content)
    WHERE org_id = NEW.org_id AND comment_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER document_new_comments AFTER INSERT ON comments REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION document_new_comments();
CREATE TRIGGER document_edited_comment AFTER UPDATE OF content ON comments
    FOR EACH ROW EXECUTE FUNCTION document_edited_comment();
"""

# The comments there are. The schema's owner, who need not be a superuser, sees all tenants
# meanwhile. The index comes afterwards: it is made in one go then.
FILL = """
ALTER TABLE comment_documents NO FORCE ROW LEVEL SECURITY;
ALTER TABLE comments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE issues NO FORCE ROW LEVEL SECURITY;
INSERT INTO comment_documents (org_id, project_id, comment_id, document)
SELECT c.org_id, i.project_id, c.id, issue_scope(c.org_id, i.project_id) || comment_text(c.content)
FROM comments c JOIN issues i ON i.org_id = c.org_id AND i.id = c.issue_id;
ALTER TABLE comment_documents FORCE ROW LEVEL SECURITY;
ALTER TABLE comments FORCE ROW LEVEL SECURITY;
ALTER TABLE issues FORCE ROW LEVEL SECURITY;
CREATE INDEX comment_documents_document_idx ON comment_documents USING gin (document);
"""

# Both find by the GIN index alone (MATERIALIZED: nothing of what follows changes how) and rank the
# newest only: ids are in the order of time. Ranking reads the documents, which are many times as
# big as what is found in the index. An issue is found by its own words: those of its comments are
# in its document, too, but here they find the comments.
FUNCTIONS = r"""
CREATE FUNCTION any_word_of(p_query text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(
        '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | '), '')::tsquery
    FROM unnest(to_tsvector('english', p_query))
$$;
COMMENT ON FUNCTION any_word_of IS 'What to highlight in a text that a web-search query found.';

CREATE FUNCTION search_newest_issues(p_query text, p_without uuid[], p_most integer)
RETURNS TABLE (id uuid, rank integer)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = public, pg_temp AS $$
    WITH q AS MATERIALIZED (
        SELECT regexp_replace(words::text, $r$('(?:[^']|'')*')$r$, '\1:AB', 'g')::tsquery AS words
        FROM (SELECT websearch_to_tsquery('english', p_query) AS words) as_asked
        WHERE numnode(words) > 0
    ), newest AS MATERIALIZED (
        SELECT issue_id FROM (
            SELECT d.issue_id FROM q, issue_documents d
            WHERE d.document @@ (q.words && format(
                  '''o:%s''', nullif(current_setting('app.org_id', true), '')::uuid)::tsquery)
              AND d.org_id = nullif(current_setting('app.org_id', true), '')::uuid
              AND d.project_id <> ALL (p_without)
            OFFSET 0
        ) found
        ORDER BY issue_id DESC LIMIT p_most
    )
    SELECT d.issue_id, (ts_rank(d.document, q.words) * 1000000)::integer
    FROM q, newest JOIN issue_documents d
        ON d.org_id = nullif(current_setting('app.org_id', true), '')::uuid
        AND d.issue_id = newest.issue_id
$$;
COMMENT ON FUNCTION search_newest_issues IS
    'The newest issues of the current organisation that match a web-search query by their own '
    'text, outside some projects, with their relevance in millionths. '
    'About the role: see search_issues.';

CREATE FUNCTION search_newest_comments(p_query text, p_without uuid[], p_most integer)
RETURNS TABLE (id uuid, rank integer)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = public, pg_temp AS $$
    WITH q AS MATERIALIZED (
        SELECT words FROM (SELECT websearch_to_tsquery('english', p_query) AS words) as_asked
        WHERE numnode(words) > 0
    ), newest AS MATERIALIZED (
        SELECT comment_id FROM (
            SELECT d.comment_id FROM q, comment_documents d
            WHERE d.document @@ (q.words && format(
                  '''o:%s''', nullif(current_setting('app.org_id', true), '')::uuid)::tsquery)
              AND d.org_id = nullif(current_setting('app.org_id', true), '')::uuid
              AND d.project_id <> ALL (p_without)
            OFFSET 0
        ) found
        ORDER BY comment_id DESC LIMIT p_most
    )
    SELECT d.comment_id, (ts_rank(d.document, q.words) * 1000000)::integer
    FROM q, newest JOIN comment_documents d
        ON d.org_id = nullif(current_setting('app.org_id', true), '')::uuid
        AND d.comment_id = newest.comment_id
$$;
COMMENT ON FUNCTION search_newest_comments IS
    'The same of comments.';

GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION search_newest_issues(text, uuid[], integer) OWNER TO bugtracker_system;
ALTER FUNCTION search_newest_comments(text, uuid[], integer) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION search_newest_issues(text, uuid[], integer),
    search_newest_comments(text, uuid[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_newest_issues(text, uuid[], integer),
    search_newest_comments(text, uuid[], integer) TO bugtracker_app;
"""


def upgrade() -> None:
    """Runs the SQL as it stands: psycopg interprets no ``%`` where there are no parameters."""
    connection = op.get_bind().connection.driver_connection
    for statements in (TABLE, TRIGGERS, FILL, FUNCTIONS):
        connection.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
