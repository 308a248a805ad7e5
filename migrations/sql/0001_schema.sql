-- The tables, their tenancy and the rights of the API's role. Run by the owner role.
--
-- bugtracker_app     the API and the worker: row-level security applies, nothing can be deleted
--                    but expired credentials.
-- bugtracker_system  owns the few SECURITY DEFINER functions that look across tenants; nobody
--                    logs in as it.

-- Global tables: they describe a person or the deployment, not an organisation.

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    username text NOT NULL CHECK (length(username) BETWEEN 1 AND 50),
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    name text CHECK (length(name) <= 100),
    verified_at timestamptz,
    is_active boolean NOT NULL,
    last_login timestamptz,
    login_count integer NOT NULL,
    last_org_id uuid,
    pending_org_name text CHECK (length(pending_org_name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL
);
CREATE UNIQUE INDEX accounts_email_key ON accounts (lower(email));
CREATE UNIQUE INDEX accounts_username_key ON accounts (lower(username)) WHERE verified_at IS NOT NULL;

CREATE TABLE usernames (
    username_key text PRIMARY KEY,
    email_key text NOT NULL,
    expires_at timestamptz
);
COMMENT ON TABLE usernames IS
    'Claims on usernames; expires_at is null once the claiming address is verified.';
CREATE INDEX usernames_email_key_idx ON usernames (email_key);

CREATE TABLE credentials (
    account_id uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    password_hash text NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    org_id uuid,
    user_agent text CHECK (length(user_agent) <= 400),
    ip inet,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text
);
CREATE INDEX sessions_account_id_idx ON sessions (account_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);

CREATE TABLE one_time_tokens (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    purpose text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX one_time_tokens_account_id_purpose_idx ON one_time_tokens (account_id, purpose);

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    public_jwk jsonb NOT NULL,
    private_key_encrypted bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);
CREATE UNIQUE INDEX signing_keys_current_key ON signing_keys ((true)) WHERE retired_at IS NULL;

-- Tenant tables: org_id first in every key, so that no reference can leave its organisation.

CREATE TABLE organisations (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 63),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL
);

CREATE TABLE members (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    user_id uuid NOT NULL,
    account_id uuid REFERENCES accounts,
    role smallint NOT NULL CHECK (role BETWEEN 0 AND 5),
    imported_from text CHECK (length(imported_from) <= 50),
    imported_username text CHECK (length(imported_username) BETWEEN 1 AND 100),
    imported_name text CHECK (length(imported_name) <= 100),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (org_id, user_id),
    CONSTRAINT members_are_accounts_or_imported CHECK (
        (account_id = user_id AND imported_username IS NULL AND imported_from IS NULL)
        OR (account_id IS NULL AND imported_username IS NOT NULL AND imported_from IS NOT NULL))
);
COMMENT ON COLUMN members.role IS
    'rank of owner, admin, manager, developer, member, auditor (0 to 5)';
CREATE INDEX members_account_id_idx ON members (account_id) WHERE account_id IS NOT NULL;
CREATE UNIQUE INDEX members_imported_key
    ON members (org_id, imported_from, lower(imported_username COLLATE "C")) WHERE account_id IS NULL;

CREATE TABLE projects (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    id uuid NOT NULL,
    key text NOT NULL CHECK (key ~ '^[A-Z][A-Z0-9]{1,9}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description text NOT NULL CHECK (length(description) <= 1000),
    created_by_id uuid NOT NULL,
    is_archived boolean NOT NULL,
    last_issue_number integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    CONSTRAINT projects_org_id_key_key UNIQUE (org_id, key),
    FOREIGN KEY (org_id, created_by_id) REFERENCES members
);
CREATE UNIQUE INDEX projects_org_id_name_key ON projects (org_id, lower(name));
CREATE INDEX projects_by_created_idx ON projects (org_id, created_at, id);
CREATE INDEX projects_by_creator_idx ON projects (org_id, created_by_id);

CREATE TABLE issues (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description text NOT NULL CHECK (length(description) <= 20000),
    status smallint NOT NULL CHECK (status BETWEEN 0 AND 4),
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 3),
    reporter_id uuid NOT NULL,
    assignee_id uuid,
    due_date date,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, project_id) REFERENCES projects ON DELETE CASCADE,
    FOREIGN KEY (org_id, reporter_id) REFERENCES members,
    FOREIGN KEY (org_id, assignee_id) REFERENCES members ON DELETE SET NULL (assignee_id),
    CONSTRAINT issues_org_id_project_id_number_key UNIQUE (org_id, project_id, number)
);
COMMENT ON COLUMN issues.status IS
    'rank of open, in_progress, resolved, closed, reopened (0 to 4)';
COMMENT ON COLUMN issues.priority IS 'rank of low, medium, high, critical (0 to 3)';
-- One index per sort order of a project's list, each with the id as tie-break.
CREATE INDEX issues_by_created_idx ON issues (org_id, project_id, created_at, id);
CREATE INDEX issues_by_updated_idx ON issues (org_id, project_id, updated_at, id);
CREATE INDEX issues_by_priority_idx ON issues (org_id, project_id, priority, id);
CREATE INDEX issues_by_status_idx ON issues (org_id, project_id, status, id);
-- CASE, not coalesce(): PostgreSQL does not know that coalesce() cannot leak, and under row-level
-- security a cursor would be compared row by row behind the index.
CREATE INDEX issues_by_due_idx
    ON issues (org_id, project_id, (CASE WHEN due_date IS NULL THEN 'infinity'::date ELSE due_date END), id);
-- The filters people use most, in the default order.
CREATE INDEX issues_by_status_created_idx ON issues (org_id, project_id, status, created_at, id);
CREATE INDEX issues_by_assignee_idx ON issues (org_id, assignee_id, created_at, id);
CREATE INDEX issues_by_reporter_idx ON issues (org_id, reporter_id, created_at, id);
-- A project belongs to one organisation. Without this PostgreSQL multiplies both selectivities,
-- expects a single issue per project where there are many tenants, and picks any index.
CREATE STATISTICS issues_of_projects (dependencies) ON org_id, project_id, assignee_id, reporter_id FROM issues;

CREATE TABLE comments (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    issue_id uuid NOT NULL,
    author_id uuid NOT NULL,
    content text NOT NULL CHECK (length(content) BETWEEN 1 AND 8000),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, issue_id) REFERENCES issues ON DELETE CASCADE,
    FOREIGN KEY (org_id, author_id) REFERENCES members
);
CREATE INDEX comments_by_created_idx ON comments (org_id, issue_id, created_at, id);
CREATE INDEX comments_by_author_idx ON comments (org_id, author_id);

CREATE TABLE issue_documents (
    org_id uuid NOT NULL,
    project_id uuid NOT NULL,
    issue_id uuid NOT NULL,
    document tsvector NOT NULL,
    PRIMARY KEY (org_id, issue_id),
    FOREIGN KEY (org_id, issue_id) REFERENCES issues ON DELETE CASCADE
);
COMMENT ON TABLE issue_documents IS
    'What search sees of an issue: title, description and comments, kept by triggers.';
-- Tenant and project are lexemes of the document: one tenant''s word costs the others nothing.
CREATE INDEX issue_documents_document_idx ON issue_documents USING gin (document);

CREATE TABLE events (
    id uuid PRIMARY KEY,
    org_id uuid REFERENCES organisations ON DELETE CASCADE,
    number bigint,
    action text NOT NULL CHECK (action ~ '^[a-z_]+(\.[a-z_]+)+$'),
    actor_id uuid,
    account_id uuid,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    resource_version integer,
    project_id uuid,
    issue_id uuid,
    changes jsonb NOT NULL,
    request_id text,
    created_at timestamptz NOT NULL,
    CONSTRAINT events_belong_somewhere CHECK (org_id IS NOT NULL OR account_id IS NOT NULL)
);
COMMENT ON COLUMN events.number IS
    'Gapless order within the organisation, given after commit by number_events().';
CREATE UNIQUE INDEX events_org_id_number_key ON events (org_id, number);
CREATE INDEX events_unnumbered_idx ON events (org_id, id) WHERE number IS NULL AND org_id IS NOT NULL;
CREATE INDEX events_by_resource_idx ON events (org_id, resource_id, resource_version, id);
CREATE INDEX events_by_account_idx ON events (account_id, id) WHERE account_id IS NOT NULL;

-- Row-level security: the second lock behind the application's own scoping. After a commit the
-- setting is '', hence nullif.

DO $$
DECLARE
    tenant_table text;
    in_this_org constant text := $p$org_id = nullif(current_setting('app.org_id', true), '')::uuid$p$;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['members', 'projects', 'issues', 'comments', 'issue_documents', 'events'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I TO bugtracker_app USING (%s) WITH CHECK (%s)',
                       tenant_table, in_this_org, in_this_org);
    END LOOP;
    FOREACH tenant_table IN ARRAY ARRAY['organisations', 'members', 'projects', 'issues', 'comments', 'issue_documents', 'events'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY system ON %I TO bugtracker_system USING (true) WITH CHECK (true)', tenant_table);
    END LOOP;
END $$;

-- A person sees their own memberships, whatever organisation is set, and those organisations.
CREATE POLICY own ON members FOR SELECT TO bugtracker_app
    USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY tenant ON organisations TO bugtracker_app
    USING (id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY joined ON organisations FOR SELECT TO bugtracker_app
    USING (EXISTS (SELECT FROM members m WHERE m.org_id = organisations.id AND m.removed_at IS NULL
                   AND m.account_id = nullif(current_setting('app.account_id', true), '')::uuid));
-- Events of an account (login, password) that happened outside any organisation.
CREATE POLICY own ON events TO bugtracker_app
    USING (org_id IS NULL AND account_id = nullif(current_setting('app.account_id', true), '')::uuid)
    WITH CHECK (org_id IS NULL AND account_id = nullif(current_setting('app.account_id', true), '')::uuid);

-- Search documents.

CREATE FUNCTION issue_text(title text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'B')
$$;

CREATE FUNCTION issue_scope(org_id uuid, project_id uuid) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(ARRAY['o:' || org_id, 'p:' || project_id])
$$;

CREATE FUNCTION index_issue() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own constant tsvector := issue_scope(NEW.org_id, NEW.project_id) || issue_text(NEW.title, NEW.description);
    doc tsvector := own;
    most integer;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- A document may have 1 MB, which is fewer characters where each has several bytes.
        FOREACH most IN ARRAY ARRAY[400000, 100000] LOOP
            BEGIN
                doc := own || coalesce((SELECT to_tsvector('english', left(string_agg(content, ' ' ORDER BY created_at, id), most))
                                        FROM comments WHERE org_id = NEW.org_id AND issue_id = NEW.id), '');
                EXIT;
            EXCEPTION WHEN program_limit_exceeded THEN
                NULL;
            END;
        END LOOP;
    END IF;
    INSERT INTO issue_documents (org_id, project_id, issue_id, document)
    VALUES (NEW.org_id, NEW.project_id, NEW.id, doc)
    ON CONFLICT (org_id, issue_id) DO UPDATE SET project_id = excluded.project_id, document = excluded.document;
    RETURN NULL;
END $$;

-- Once per statement and issue, not per comment: an import adds hundreds at a time.
CREATE FUNCTION index_new_comments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fresh record;
BEGIN
    FOR fresh IN SELECT org_id, issue_id, left(string_agg(content, ' ' ORDER BY created_at, id), 400000) AS content
                 FROM added GROUP BY org_id, issue_id ORDER BY org_id, issue_id LOOP
        BEGIN
            UPDATE issue_documents SET document = document || to_tsvector('english', fresh.content)
            WHERE org_id = fresh.org_id AND issue_id = fresh.issue_id;
        EXCEPTION WHEN program_limit_exceeded THEN
            NULL;  -- a document may have 1 MB: beyond it, later comments are not searchable
        END;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION index_edited_comment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE issues SET title = title WHERE org_id = NEW.org_id AND id = NEW.issue_id;
    RETURN NULL;
END $$;

CREATE TRIGGER index_issue AFTER INSERT OR UPDATE OF title, description, project_id ON issues
    FOR EACH ROW EXECUTE FUNCTION index_issue();
CREATE TRIGGER index_new_comments AFTER INSERT ON comments REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION index_new_comments();
CREATE TRIGGER index_edited_comment AFTER UPDATE OF content ON comments
    FOR EACH ROW EXECUTE FUNCTION index_edited_comment();

-- Functions that look across tenants. Each restricts itself; each names its search_path.

CREATE FUNCTION live_session(p_session uuid, p_org uuid)
RETURNS TABLE (account_id uuid, username text, role smallint)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT a.id, a.username, m.role
    FROM sessions s
    JOIN accounts a ON a.id = s.account_id
    LEFT JOIN members m ON m.org_id = p_org AND m.user_id = a.id AND m.removed_at IS NULL
    WHERE s.id = p_session AND s.revoked_at IS NULL AND s.expires_at > now()
      AND a.is_active AND a.verified_at IS NOT NULL
      AND (p_org IS NULL OR m.user_id IS NOT NULL)
$$;
COMMENT ON FUNCTION live_session IS
    'Who a session is, and their role in an organisation; no row when either has ended.';

CREATE FUNCTION organisation_by_slug(p_slug text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM organisations WHERE slug = p_slug
$$;

CREATE FUNCTION search_issues(p_query text, p_project uuid)
RETURNS TABLE (issue_id uuid, rank integer)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT d.issue_id, (ts_rank(d.document, q.words) * 1000000)::integer
    FROM (SELECT websearch_to_tsquery('english', p_query) AS words) q, issue_documents d
    WHERE numnode(q.words) > 0
      AND d.document @@ (q.words
          && format('''o:%s''', nullif(current_setting('app.org_id', true), '')::uuid)::tsquery
          && CASE WHEN p_project IS NULL THEN ''::tsquery ELSE format('''p:%s''', p_project)::tsquery END)
      AND d.org_id = nullif(current_setting('app.org_id', true), '')::uuid
      AND (p_project IS NULL OR d.project_id = p_project)
$$;
COMMENT ON FUNCTION search_issues IS
    'Issues of the current organisation that match a web-search query, with their relevance. '
    'Runs as a role without row-level security because @@ is not leakproof and would lose its index. '
    'ROWS 1: each hit is looked up by its key, also in a tenant far bigger than the average.';

CREATE FUNCTION number_events() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    numbered bigint;
BEGIN
    -- One sequencer at a time: numbers have neither gaps nor duplicates.
    PERFORM pg_advisory_xact_lock(hashtext('bugtracker.number_events'));
    WITH fresh AS (
        SELECT id, org_id, row_number() OVER (PARTITION BY org_id ORDER BY id) AS place
        FROM events WHERE number IS NULL AND org_id IS NOT NULL
    ), last AS (
        SELECT o.org_id, coalesce((SELECT max(e.number) FROM events e WHERE e.org_id = o.org_id), 0) AS number
        FROM (SELECT DISTINCT org_id FROM fresh) o
    )
    UPDATE events SET number = last.number + fresh.place
    FROM fresh JOIN last USING (org_id) WHERE events.id = fresh.id;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    RETURN numbered;
END $$;

-- Rights.

GRANT USAGE ON SCHEMA public TO bugtracker_app, bugtracker_system;
GRANT SELECT, INSERT, UPDATE ON accounts, credentials, sessions, refresh_tokens, one_time_tokens, signing_keys,
    organisations, members, projects, issues, comments, issue_documents TO bugtracker_app;
GRANT DELETE ON sessions, refresh_tokens, one_time_tokens TO bugtracker_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON usernames TO bugtracker_app;
GRANT SELECT, INSERT ON events TO bugtracker_app;
GRANT SELECT ON alembic_version TO bugtracker_app;

GRANT SELECT ON accounts, sessions, organisations, members, events, issue_documents TO bugtracker_system;
GRANT UPDATE (number) ON events TO bugtracker_system;
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION live_session(uuid, uuid) OWNER TO bugtracker_system;
ALTER FUNCTION organisation_by_slug(text) OWNER TO bugtracker_system;
ALTER FUNCTION search_issues(text, uuid) OWNER TO bugtracker_system;
ALTER FUNCTION number_events() OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION live_session(uuid, uuid), organisation_by_slug(text), search_issues(text, uuid), number_events() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_session(uuid, uuid), organisation_by_slug(text), search_issues(text, uuid), number_events() TO bugtracker_app;
