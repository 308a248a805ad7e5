"""Finds the newest things with a word that many have by walking back in time, not by its index.

The GIN index only gives all hits at once, and knows neither weights nor the order of time. What is
found is the same as before.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# The settings leave one plan, the primary key backwards, whatever the statistics were when a
# connection kept it: an average tenant's documents would be read whole and sorted. Each step is at
# most four times what was walked before, so that a word of these days alone is noticed soon.
WALK = """
CREATE FUNCTION walk_THING_documents(
    p_words tsquery, p_without uuid[], p_most integer,
    p_first integer DEFAULT 256, p_furthest integer DEFAULT 15000
) RETURNS uuid[]
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    before uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    hits uuid[] := '{}';
    fresh uuid[];
    step integer := p_first;
    walked bigint := 0;
    passed integer;
    expected bigint;
BEGIN
    LOOP
        SELECT count(*), (array_agg(d.THING_id))[count(*)],
               array_agg(d.THING_id) FILTER (
                   WHERE d.project_id <> ALL (p_without) AND d.document @@ p_words)
        INTO passed, before, fresh
        FROM (SELECT THING_id, project_id, document FROM THING_documents
              WHERE org_id = org AND THING_id < before
              ORDER BY THING_id DESC LIMIT step) d;
        hits := hits || fresh;
        walked := walked + passed;
        IF cardinality(hits) >= p_most OR passed < step THEN
            RETURN hits[:p_most];
        END IF;
        expected := p_most * walked / greatest(cardinality(hits), 1);
        IF expected > p_furthest THEN
            RETURN NULL;
        END IF;
        step := greatest(p_first, least(expected - walked, 4 * walked));
    END LOOP;
END $$;
COMMENT ON FUNCTION walk_THING_documents IS
    'The newest THINGs of the current organisation with these words, by looking through its '
    'documents backwards in time, the newest first; NULL as soon as it seems that more than '
    'p_furthest would have to be looked through. The first p_first documents are the first guess.';
"""

# By the GIN index alone: nothing of what is around it changes how (MATERIALIZED, OFFSET 0), and
# IS NOT DISTINCT FROM leaves no use for the primary key, which a plan for small tenants would take.
# What is the same for all rows is in q: rechecking a document would make it anew.
BY_INDEX = """
CREATE FUNCTION THING_documents_by_index(p_words tsquery, p_without uuid[], p_most integer)
RETURNS uuid[]
LANGUAGE sql STABLE SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH q AS MATERIALIZED (
        SELECT org, p_words && format('''o:%s''', org)::tsquery AS words
        FROM (SELECT nullif(current_setting('app.org_id', true), '')::uuid AS org) here
    ), newest AS MATERIALIZED (
        SELECT THING_id FROM (
            SELECT d.THING_id FROM q, THING_documents d
            WHERE d.document @@ q.words AND d.org_id IS NOT DISTINCT FROM q.org
              AND d.project_id <> ALL (p_without)
            OFFSET 0
        ) found
        ORDER BY THING_id DESC LIMIT p_most
    )
    SELECT coalesce(array_agg(THING_id), '{}') FROM newest
$$;
COMMENT ON FUNCTION THING_documents_by_index IS
    'The same, however far back they are: finds all there are, so it is for words that few have.';
"""

# Found before they are ranked: the planner would run a function in FROM to see how much it returns.
# LATERAL with OFFSET 0: each is looked up by its key, whatever is known of how many there are.
SEARCH = """
CREATE OR REPLACE FUNCTION search_newest_THINGs(p_query text, p_without uuid[], p_most integer)
RETURNS TABLE (id uuid, rank integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = public, pg_temp AS $$
DECLARE
    org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    words constant tsquery := WORDS;
    newest uuid[];
BEGIN
    IF numnode(words) > 0 THEN
        newest := coalesce(walk_THING_documents(words, p_without, p_most),
                           THING_documents_by_index(words, p_without, p_most));
        RETURN QUERY
        SELECT hit.THING_id, (ts_rank(ranked.document, words) * 1000000)::integer
        FROM unnest(newest) hit(THING_id),
             LATERAL (SELECT d.document FROM THING_documents d
                      WHERE d.org_id = org AND d.THING_id = hit.THING_id OFFSET 0) ranked;
    END IF;
END $$;
COMMENT ON FUNCTION search_newest_THINGs IS
    'The newest THINGs of the current organisation that match a web-search query by their own '
    'text, outside some projects, with their relevance in millionths. Walks backwards through the '
    'documents where many have the words, takes the GIN index where few do. '
    'About the role: see search_issues.';
"""

RIGHTS = """
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION walk_THING_documents(tsquery, uuid[], integer, integer, integer)
    OWNER TO bugtracker_system;
ALTER FUNCTION THING_documents_by_index(tsquery, uuid[], integer) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION walk_THING_documents(tsquery, uuid[], integer, integer, integer),
    THING_documents_by_index(tsquery, uuid[], integer) FROM PUBLIC;
"""

# An issue is found by its own words: those of its comments are in its document, too.
WORDS = {
    "issue": r"""regexp_replace(websearch_to_tsquery('english', p_query)::text,
                                       $r$('(?:[^']|'')*')$r$, '\1:AB', 'g')::tsquery""",
    "comment": "websearch_to_tsquery('english', p_query)",
}


def upgrade() -> None:
    """Runs the SQL as it stands: psycopg interprets no ``%`` where there are no parameters."""
    connection = op.get_bind().connection.driver_connection
    for thing, words in WORDS.items():
        for statements in (WALK, BY_INDEX, SEARCH, RIGHTS):
            connection.execute(statements.replace("THING", thing).replace("WORDS", words))


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
