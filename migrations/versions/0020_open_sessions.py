"""Adds the function that begins a session's request: who asks, and in which tenant.

``live_session`` stays until nothing asks it any more: servers of the version before do, while this
one is rolled out.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# In PL/pgSQL, whose plans last as long as the connection: half the time of the SQL function.
FUNCTION = """
CREATE FUNCTION open_session(p_session uuid, p_org uuid)
RETURNS TABLE (account_id uuid, username text, role smallint, language text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    SELECT a.id, a.username, m.role, a.language
    INTO open_session.account_id, open_session.username, open_session.role, open_session.language
    FROM sessions s
    JOIN accounts a ON a.id = s.account_id
    LEFT JOIN members m ON m.org_id = p_org AND m.user_id = a.id AND m.removed_at IS NULL
    WHERE s.id = p_session AND s.revoked_at IS NULL AND s.expires_at > now()
      AND a.is_active AND a.verified_at IS NOT NULL
      AND (p_org IS NULL OR m.user_id IS NOT NULL);
    IF FOUND THEN
        PERFORM set_config('app.org_id', coalesce(p_org::text, ''), true),
                set_config('app.account_id', open_session.account_id::text, true);
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION open_session IS
    'Who a session is, and their role in an organisation, in which the transaction then is; no row '
    'and no change when either has ended.';
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION open_session(uuid, uuid) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION open_session(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_session(uuid, uuid) TO bugtracker_app;
"""


def upgrade() -> None:
    op.execute(FUNCTION)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
