"""Lets imported people be linked to members, keeps logins per organisation, and remembers which
accounts ended with their last membership."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The defaults stay: servers of the version before go on adding people meanwhile.
COLUMNS = """
ALTER TABLE members
    ADD COLUMN linked_to uuid,
    ADD COLUMN last_login timestamptz,
    ADD COLUMN login_count integer NOT NULL DEFAULT 0,
    ADD FOREIGN KEY (org_id, linked_to) REFERENCES members,
    ADD CONSTRAINT members_linked_are_gone
        CHECK (linked_to IS NULL OR (account_id IS NULL AND removed_at IS NOT NULL));
ALTER TABLE accounts ADD COLUMN deactivated_by_removal boolean NOT NULL DEFAULT false;
"""

# What an organisation knows of its people's logins, it has in its events. The schema's owner, who
# need not be a superuser, sees all tenants meanwhile.
LOGINS = """
ALTER TABLE members NO FORCE ROW LEVEL SECURITY;
ALTER TABLE events NO FORCE ROW LEVEL SECURITY;
UPDATE members SET last_login = past.last_login, login_count = past.login_count
FROM (SELECT org_id, account_id, max(created_at) AS last_login, count(*) AS login_count
      FROM events WHERE action = 'login.succeeded' AND org_id IS NOT NULL
      GROUP BY org_id, account_id) past
WHERE members.org_id = past.org_id AND members.account_id = past.account_id;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
"""

FUNCTIONS = """
CREATE FUNCTION is_member_anywhere(p_account uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM members m WHERE m.account_id = p_account AND m.removed_at IS NULL)
       AND EXISTS (SELECT FROM members here WHERE here.account_id = p_account
                   AND here.org_id = nullif(current_setting('app.org_id', true), '')::uuid)
$$;
COMMENT ON FUNCTION is_member_anywhere IS
    'Whether somebody who is or was in the current organisation is in any at all.';

CREATE FUNCTION shared_organisations(p_accounts uuid[])
RETURNS TABLE (account_id uuid, id uuid, slug text, name text, role smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT theirs.account_id, o.id, o.slug, o.name, theirs.role
    FROM members mine
    JOIN members theirs ON theirs.org_id = mine.org_id
    JOIN organisations o ON o.id = mine.org_id
    WHERE mine.account_id = nullif(current_setting('app.account_id', true), '')::uuid
      AND mine.removed_at IS NULL AND theirs.removed_at IS NULL
      AND theirs.account_id = ANY (p_accounts)
    ORDER BY theirs.account_id, o.id
$$;
COMMENT ON FUNCTION shared_organisations IS
    'What organisations the current account has in common with each of these; with itself, all.';

GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION is_member_anywhere(uuid) OWNER TO bugtracker_system;
ALTER FUNCTION shared_organisations(uuid[]) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION is_member_anywhere(uuid), shared_organisations(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_member_anywhere(uuid), shared_organisations(uuid[])
    TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (COLUMNS, LOGINS, FUNCTIONS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
