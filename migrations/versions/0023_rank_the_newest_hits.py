"""Ranks the newest thousand hits of a search in a list, walks to them, and ends with the page.

Who walks to a document, or finds it by the index, ranks it at once: looking it up again took longer
than ranking. The version before goes on with search_issues, which a later migration takes away.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# One project's documents backwards in time, whatever the other projects have.
INDEX = """
-- in use: made CONCURRENTLY before (changelog), this is for everybody else
CREATE INDEX IF NOT EXISTS issue_documents_by_project_idx
    ON issue_documents (org_id, project_id, issue_id);
"""

SCOPE = """
CREATE FUNCTION search_scope(p_project uuid) RETURNS tsquery
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT (format('''o:%s''', nullif(current_setting('app.org_id', true), ''))
            || coalesce(' & ''p:' || p_project || '''', ''))::tsquery
$$;
COMMENT ON FUNCTION search_scope IS
    'The marks that issue_scope gives to documents of the current organisation (and a project).';
"""

BEFORE = """
DROP FUNCTION walk_THING_documents(tsquery, uuid[], integer, integer, integer);
DROP FUNCTION THING_documents_by_index(tsquery, uuid[], integer);
"""

# As in 0021, where the settings, and how far a step goes, are explained.
WALK = """
CREATE FUNCTION walk_NAME_documents(
    p_words tsquery, p_AMONG, p_most integer,
    p_first integer DEFAULT 256, p_furthest integer DEFAULT 15000,
    p_from uuid DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    OUT ids uuid[], OUT ranks integer[]
)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    before uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    passed integer;
    step integer := p_first;
    walked bigint := 0;
    expected bigint;
    fresh uuid[];
    fresh_ranks integer[];
BEGIN
    ids := '{}';
    ranks := '{}';
    LOOP
        SELECT count(*), (array_agg(d.THING_id))[count(*)],
               array_agg(d.THING_id) FILTER (WHERE d.rank IS NOT NULL),
               array_agg(d.rank) FILTER (WHERE d.rank IS NOT NULL)
        INTO passed, before, fresh, fresh_ranks
        FROM (SELECT THING_id, CASE WHEN IS_WANTED AND document @@ p_words
                               THEN (ts_rank(document, p_words) * 1000000)::integer END AS rank
              FROM THING_documents
              WHERE org_id = org AND IS_WALKED AND THING_id < before AND THING_id <= p_from
              ORDER BY THING_id DESC LIMIT step) d;
        ids := ids || fresh;
        ranks := ranks || fresh_ranks;
        walked := walked + passed;
        IF cardinality(ids) >= p_most OR passed < step THEN
            ids := ids[:p_most];
            ranks := ranks[:p_most];
            RETURN;
        END IF;
        expected := p_most * walked / greatest(cardinality(ids), 1);
        IF expected > p_furthest THEN
            ids := NULL;
            ranks := NULL;
            RETURN;
        END IF;
        step := greatest(p_first, least(expected - walked, 4 * walked));
    END LOOP;
END $$;
COMMENT ON FUNCTION walk_NAME_documents IS
    'The newest THINGs with these words, not after p_from, and their relevance in millionths, by '
    'looking through the documents of the current organisation (WITHIN) backwards in time, the '
    'newest first; NULL as soon as it seems that more than p_furthest would have to be looked '
    'through. The first p_first documents are the first guess.';
"""

# As in 0021. Ranked while they are found: to find those again that are the newest takes longer. A
# project's mark does without its organisation's, which would double the time: the walk, which comes
# first, has found documents of both.
BY_INDEX = """
CREATE FUNCTION NAME_documents_by_index(
    p_words tsquery, p_AMONG, p_most integer,
    p_from uuid DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    OUT ids uuid[], OUT ranks integer[]
)
LANGUAGE sql STABLE SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH q AS MATERIALIZED (
        SELECT p_words && MARK AS words,
               nullif(current_setting('app.org_id', true), '')::uuid AS org
    ), newest AS MATERIALIZED (
        SELECT id, rank FROM (
            SELECT d.THING_id AS id, (ts_rank(d.document, p_words) * 1000000)::integer AS rank
            FROM q, THING_documents d
            WHERE d.document @@ q.words AND d.org_id IS NOT DISTINCT FROM q.org
              AND IS_FOUND
            OFFSET 0
        ) found
        WHERE id <= p_from
        ORDER BY id DESC LIMIT p_most
    )
    SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(rank), '{}') FROM newest
$$;
COMMENT ON FUNCTION NAME_documents_by_index IS
    'The same, however far back they are: finds all there are, so it is for words that few have.';
"""

NEWEST = """
CREATE OR REPLACE FUNCTION search_newest_THINGs(p_query text, p_without uuid[], p_most integer)
RETURNS TABLE (id uuid, rank integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = public, pg_temp AS $$
DECLARE
    words constant tsquery := WORDS;
    newest record;
BEGIN
    IF numnode(words) > 0 THEN
        newest := walk_THING_documents(words, p_without, p_most);
        IF newest.ids IS NULL THEN
            newest := THING_documents_by_index(words, p_without, p_most);
        END IF;
        RETURN QUERY SELECT * FROM unnest(newest.ids, newest.ranks);
    END IF;
END $$;
"""

HITS = """
CREATE FUNCTION newest_issue_hits(
    p_words tsquery, p_project uuid, p_most integer, p_from uuid,
    OUT ids uuid[], OUT ranks integer[]
)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    IF p_project IS NULL THEN
        SELECT * INTO ids, ranks FROM walk_issue_documents(p_words, '{}', p_most, p_from => p_from);
        IF ids IS NULL THEN
            SELECT * INTO ids, ranks FROM issue_documents_by_index(p_words, '{}', p_most, p_from);
        END IF;
    ELSE
        SELECT * INTO ids, ranks FROM walk_project_documents(
            p_words, p_project, p_most, p_from => p_from);
        IF ids IS NULL THEN
            SELECT * INTO ids, ranks FROM project_documents_by_index(
                p_words, p_project, p_most, p_from);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION newest_issue_hits IS
    'What is walked to, or else found by the index, in a project or the current organisation.';
"""

# All of them (p_most is null): in no order, by the index, and only the ranked documents are read.
# Otherwise the newest are put in order and, when these have ended, older ones follow.
FIND = """
CREATE FUNCTION find_issues(
    p_query text, p_project uuid, p_ranked integer, p_most integer,
    p_newest uuid, p_rank integer, p_id uuid
) RETURNS TABLE (issue_id uuid, rank integer, newest uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    words constant tsquery := websearch_to_tsquery('english', p_query);
    words_here constant tsquery := words && search_scope(p_project);
    latest constant uuid := coalesce(p_newest, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    best record;
    behind uuid;
    missing integer;
BEGIN
    IF numnode(words) = 0 THEN
        RETURN;
    END IF;
    best := newest_issue_hits(words, p_project, p_ranked, latest);
    newest := coalesce(p_newest, best.ids[1]);
    IF p_most IS NULL AND cardinality(best.ids) = p_ranked THEN
        RETURN QUERY
        SELECT found.id, found.rank, newest FROM (
            SELECT d.issue_id AS id, CASE WHEN d.issue_id >= best.ids[p_ranked]
                   THEN (ts_rank(d.document, words) * 1000000)::integer ELSE 0 END AS rank
            FROM issue_documents d
            WHERE d.document @@ words_here AND d.org_id IS NOT DISTINCT FROM org
              AND (p_project IS NULL OR d.project_id IS NOT DISTINCT FROM p_project)
            OFFSET 0
        ) found
        WHERE found.id <= latest;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT hit.id, hit.rank, newest FROM unnest(best.ids, best.ranks) hit(id, rank)
    WHERE p_rank IS NULL OR (hit.rank, hit.id) < (p_rank, p_id)
    ORDER BY hit.rank DESC, hit.id DESC LIMIT p_most;
    GET DIAGNOSTICS missing = ROW_COUNT;
    missing := p_most - missing;
    IF missing > 0 AND cardinality(best.ids) = p_ranked THEN
        behind := least(CASE p_rank WHEN 0 THEN p_id END, best.ids[p_ranked]);
        RETURN QUERY
        SELECT older.id, 0, newest
        FROM newest_issue_hits(words, p_project, missing + 1, behind) found,
             unnest(found.ids) older(id)
        WHERE older.id < behind ORDER BY older.id DESC LIMIT missing;
    END IF;
END $$;
COMMENT ON FUNCTION find_issues IS
    'Issues of a project or the current organisation that match a web-search query: the newest '
    'p_ranked with their relevance in millionths, best first, then older ones, newest first. Only '
    'p_most of them (null: all, in no order), those behind this relevance and id, and none newer '
    'than p_newest, which the first page tells. About the role: see search_issues.';
"""

# Called by the version before. Compared so that the index of projects serves no search for words.
SEARCH = """
CREATE OR REPLACE FUNCTION search_issues(p_query text, p_project uuid)
RETURNS TABLE (issue_id uuid, rank integer)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH q AS MATERIALIZED (
        SELECT words, words && search_scope(p_project) AS words_here,
               nullif(current_setting('app.org_id', true), '')::uuid AS org
        FROM (SELECT websearch_to_tsquery('english', p_query) AS words) asked
        WHERE numnode(words) > 0
    )
    SELECT d.issue_id, (ts_rank(d.document, q.words) * 1000000)::integer
    FROM q, issue_documents d
    WHERE d.document @@ q.words_here
      AND d.org_id IS NOT DISTINCT FROM q.org
      AND (p_project IS NULL OR d.project_id IS NOT DISTINCT FROM p_project)
$$;
"""

# Searches of everything leave out projects, and an issue is found by its own words there.
ALL = {
    "AMONG": "without uuid[]",
    "IS_WANTED": "project_id <> ALL (p_without)",
    "IS_WALKED": "true",
    "IS_FOUND": "d.project_id <> ALL (p_without)",
    "MARK": "search_scope(NULL)",
    "WITHIN": "outside some projects",
}
ONE = {
    "AMONG": "project uuid",
    "IS_WANTED": "true",
    "IS_WALKED": "project_id = p_project",
    "IS_FOUND": "d.project_id IS NOT DISTINCT FROM p_project",
    "MARK": "format('''p:%s''', p_project)::tsquery",
    "WITHIN": "one project",
}
ASKED = "websearch_to_tsquery('english', p_query)"
WORDS = {
    "issue": rf"""regexp_replace({ASKED}::text,
                                       $r$('(?:[^']|'')*')$r$, '\1:AB', 'g')::tsquery""",
    "comment": ASKED,
}

FUNCTIONS = (
    "search_scope", "newest_issue_hits", "find_issues",
    *(f"walk_{name}_documents" for name in ("issue", "comment", "project")),
    *(f"{name}_documents_by_index" for name in ("issue", "comment", "project")),
)  # fmt: skip
RIGHTS = (
    "GRANT CREATE ON SCHEMA public TO bugtracker_system",
    *(f"ALTER FUNCTION {name} OWNER TO bugtracker_system" for name in FUNCTIONS),
    "REVOKE CREATE ON SCHEMA public FROM bugtracker_system",
    f"REVOKE ALL ON FUNCTION {', '.join(FUNCTIONS)} FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION find_issues TO bugtracker_app",
)


def _made(template: str, thing: str, name: str, places: dict[str, str]) -> str:
    for place, text in {"THING": thing, "NAME": name, "WORDS": WORDS[thing], **places}.items():
        template = template.replace(place, text)
    return template


def upgrade() -> None:
    """Runs the SQL as it stands: psycopg interprets no ``%`` where there are no parameters."""
    statements = [INDEX, SCOPE]
    for thing in WORDS:
        statements += [_made(each, thing, thing, ALL) for each in (BEFORE, WALK, BY_INDEX, NEWEST)]
    statements += [_made(each, "issue", "project", ONE) for each in (WALK, BY_INDEX)]
    connection = op.get_bind().connection.driver_connection
    for statement in (*statements, HITS, FIND, SEARCH, *RIGHTS):
        connection.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
