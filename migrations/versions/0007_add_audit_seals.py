"""Adds the sealed chain over each organisation's events, and the indexes of the audit list."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# In the order of bytes all actions of one noun ("issue.*") are one range of an index.
INDEXES = """
ALTER TABLE events ALTER COLUMN action TYPE text COLLATE "C";
CREATE INDEX events_by_created_idx ON events (org_id, created_at, id);
CREATE INDEX events_by_action_idx ON events (org_id, action, created_at, id);
CREATE INDEX events_by_actor_idx ON events (org_id, actor_id, created_at, id);
CREATE INDEX events_by_resource_type_idx ON events (org_id, resource_type, created_at, id);
"""

TABLES = """
CREATE TABLE event_seals (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    to_number bigint NOT NULL,
    from_number bigint NOT NULL,
    leaves bytea NOT NULL,
    previous bytea NOT NULL,
    key_id bytea NOT NULL,
    seal bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, to_number),
    CONSTRAINT event_seals_cover_events CHECK (from_number BETWEEN 1 AND to_number)
);
COMMENT ON TABLE event_seals IS
    'A batch of numbered events: a hash of each, and a keyed hash over those and the seal before.';
CREATE UNIQUE INDEX event_seals_org_id_from_number_key ON event_seals (org_id, from_number);

CREATE TABLE event_commitments (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    number bigint NOT NULL,
    fields text[] NOT NULL,
    salt bytea,
    commitment bytea NOT NULL,
    PRIMARY KEY (org_id, number)
);
COMMENT ON TABLE event_commitments IS
    'What stands for the personal values of a sealed event; without salt they were anonymised.';

CREATE POLICY tenant ON event_seals TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY tenant ON event_commitments TO bugtracker_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
CREATE POLICY system ON event_seals TO bugtracker_system USING (true) WITH CHECK (true);
CREATE POLICY system ON event_commitments TO bugtracker_system USING (true) WITH CHECK (true);
ALTER TABLE event_seals ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_seals FORCE ROW LEVEL SECURITY;
ALTER TABLE event_commitments ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_commitments FORCE ROW LEVEL SECURITY;
"""

FUNCTIONS = """
CREATE FUNCTION audited_organisations()
RETURNS TABLE (id uuid, slug text, unsealed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, o.slug,
           coalesce((SELECT max(e.number) FROM events e WHERE e.org_id = o.id), 0)
           > coalesce((SELECT max(s.to_number) FROM event_seals s WHERE s.org_id = o.id), 0)
    FROM organisations o ORDER BY o.slug
$$;
COMMENT ON FUNCTION audited_organisations IS
    'Every organisation, and whether it has numbered events behind its last seal.';

CREATE FUNCTION anonymise_event(p_event uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
    hidden text[];
BEGIN
    UPDATE event_commitments c SET salt = NULL FROM events e
    WHERE e.id = p_event AND e.org_id = this_org
      AND c.org_id = this_org AND c.number = e.number AND c.salt IS NOT NULL
    RETURNING c.fields INTO hidden;
    IF hidden IS NULL THEN
        RETURN false;
    END IF;
    UPDATE events SET changes = changes || (
        SELECT jsonb_object_agg(field, '[null, null]'::jsonb) FROM unnest(hidden) field)
    WHERE id = p_event AND org_id = this_org;
    RETURN true;
END $$;
COMMENT ON FUNCTION anonymise_event IS
    'Erases the personal values of a sealed event of the current organisation, and the salt '
    'without which their commitment tells nothing. False where there is none (yet, or any more).';
"""

# One statement over all organisations compared each new event with each other: 20,000 of them, as
# an import leaves, took minutes.
NUMBERING = """
CREATE OR REPLACE FUNCTION number_events() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    numbered bigint := 0;
    this_org uuid;
    last_number bigint;
    fresh_ids uuid[];
BEGIN
    -- One sequencer at a time: numbers have neither gaps nor duplicates.
    PERFORM pg_advisory_xact_lock(hashtext('bugtracker.number_events'));
    FOR this_org IN SELECT DISTINCT org_id FROM events WHERE number IS NULL AND org_id IS NOT NULL
    LOOP
        SELECT coalesce(max(number), 0) INTO last_number FROM events WHERE org_id = this_org;
        SELECT array_agg(id ORDER BY id) INTO fresh_ids
        FROM events WHERE org_id = this_org AND number IS NULL;
        UPDATE events SET number = last_number + fresh.place
        FROM unnest(fresh_ids) WITH ORDINALITY AS fresh (id, place) WHERE events.id = fresh.id;
        numbered := numbered + cardinality(fresh_ids);
    END LOOP;
    RETURN numbered;
END $$;
"""

RIGHTS = """
GRANT SELECT, INSERT ON event_seals, event_commitments TO bugtracker_app;
GRANT SELECT ON event_seals, event_commitments TO bugtracker_system;
GRANT UPDATE (salt) ON event_commitments TO bugtracker_system;
GRANT UPDATE (changes) ON events TO bugtracker_system;
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER FUNCTION audited_organisations() OWNER TO bugtracker_system;
ALTER FUNCTION anonymise_event(uuid) OWNER TO bugtracker_system;
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION audited_organisations(), anonymise_event(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audited_organisations(), anonymise_event(uuid) TO bugtracker_app;
"""


def upgrade() -> None:
    for statements in (INDEXES, TABLES, FUNCTIONS, NUMBERING, RIGHTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
