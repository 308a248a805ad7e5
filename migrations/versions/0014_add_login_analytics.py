"""Adds the analytics of logins: events in monthly partitions, days, and the roll-up per person."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Owned by bugtracker_system, whose functions make and drop partitions; in a schema of their own,
# the only one it may make tables in. No foreign key: dropping a partition would lock the table it
# refers to for all readers, and every request reads members.
EVENTS = """
CREATE SCHEMA login_partitions AUTHORIZATION bugtracker_system;

CREATE TABLE login_events (
    org_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    PRIMARY KEY (org_id, created_at, id)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE login_events IS
    'Logins into organisations, written by a job; the id is that of the session that began.';
"""

DAYS = """
CREATE TABLE login_days (
    org_id uuid NOT NULL REFERENCES organisations ON DELETE CASCADE,
    date date NOT NULL,
    rolled_up_at timestamptz,
    PRIMARY KEY (org_id, date)
);
COMMENT ON TABLE login_days IS
    'UTC days with logins; rolled_up_at is null while login_daily does not have all of them.';
CREATE INDEX login_days_unrolled_idx ON login_days (date) WHERE rolled_up_at IS NULL;

CREATE TABLE login_daily (
    org_id uuid NOT NULL,
    date date NOT NULL,
    user_id uuid NOT NULL,
    count integer NOT NULL CHECK (count > 0),
    PRIMARY KEY (org_id, date, user_id),
    FOREIGN KEY (org_id, user_id) REFERENCES members ON DELETE CASCADE
);
COMMENT ON TABLE login_daily IS 'Logins of a person on a UTC day, rolled up from login_events.';

-- A day is marked in the transaction of its event, whoever writes it. Behind a roll-up that is at
-- work this waits for it, and marks the day anew.
CREATE FUNCTION mark_login_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO login_days (org_id, date)
    SELECT DISTINCT org_id, (created_at AT TIME ZONE 'UTC')::date AS day FROM added
    ORDER BY org_id, day
    ON CONFLICT (org_id, date) DO UPDATE SET rolled_up_at = NULL
        WHERE login_days.rolled_up_at IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER mark_login_days AFTER INSERT ON login_events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION mark_login_days();

-- As the list of inactive people is sorted and cut off; CASE is leakproof, coalesce() is not.
CREATE INDEX members_by_last_login_idx ON members
    (org_id, (CASE WHEN last_login IS NULL THEN '-infinity'::timestamptz ELSE last_login END),
     user_id)
    WHERE removed_at IS NULL AND account_id IS NOT NULL;
"""

# A partition is called after its month, y2026m11, so that names sort as months do.
PARTITIONS = """
CREATE FUNCTION kept_logins_from() RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT to_date(min(relname::text), '"y"YYYY"m"MM')::timestamp AT TIME ZONE 'UTC'
    FROM pg_class WHERE relnamespace = 'login_partitions'::regnamespace AND relkind = 'r'
$$;
COMMENT ON FUNCTION kept_logins_from IS
    'The beginning of the oldest partition of login_events; what was before was dropped.';

CREATE FUNCTION make_login_partition(p_moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month constant timestamp := date_trunc('month', p_moment AT TIME ZONE 'UTC');
    name constant text := to_char(month, '"y"YYYY"m"MM');
BEGIN
    IF to_regclass('login_partitions.' || name) IS NULL THEN
        IF month AT TIME ZONE 'UTC' < kept_logins_from() THEN
            RETURN false;
        END IF;
        -- IF NOT EXISTS alone does not wait for somebody who makes it at this moment.
        PERFORM pg_advisory_xact_lock(hashtext('bugtracker.login_partitions'));
        EXECUTE format('CREATE TABLE IF NOT EXISTS login_partitions.%I PARTITION OF login_events'
                       ' FOR VALUES FROM (%L) TO (%L)', name, month AT TIME ZONE 'UTC',
                       (month + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION make_login_partition IS
    'Makes the partition for a moment unless it is there; false for a month that was dropped.';

CREATE FUNCTION drop_login_partition(p_before date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- Never this month and the one before, whoever asks.
    most constant timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month';
    name text;
    day date;
BEGIN
    -- First: nobody writes or counts login events meanwhile.
    LOCK TABLE login_events IN ACCESS EXCLUSIVE MODE;
    SELECT min(relname::text) INTO name FROM pg_class
    WHERE relnamespace = 'login_partitions'::regnamespace AND relkind = 'r'
      AND relname::text < to_char(least(p_before::timestamp, most), '"y"YYYY"m"MM');
    IF name IS NOT NULL THEN
        FOR day IN SELECT DISTINCT date FROM login_days WHERE rolled_up_at IS NULL
                   AND date < to_date(name, '"y"YYYY"m"MM') + interval '1 month' ORDER BY date LOOP
            PERFORM roll_up_logins(day, false);
        END LOOP;
        EXECUTE format('DROP TABLE login_partitions.%I', name);
    END IF;
    RETURN name;
END $$;
COMMENT ON FUNCTION drop_login_partition IS
    'Drops the oldest partition if it ends before the month of a date, its days rolled up.';
"""

COUNTING = """
CREATE FUNCTION roll_up_logins(p_date date, p_again boolean) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    since constant timestamptz := p_date::timestamp AT TIME ZONE 'UTC';
    until constant timestamptz := (p_date + 1)::timestamp AT TIME ZONE 'UTC';
    due uuid[];
BEGIN
    -- No partition is dropped until this transaction ends: a day without events is not recounted.
    LOCK TABLE login_events IN ACCESS SHARE MODE;
    IF since < kept_logins_from() THEN
        RETURN 0;
    END IF;
    SELECT array_agg(org_id) INTO due FROM (
        SELECT org_id FROM login_days WHERE date = p_date AND (p_again OR rolled_up_at IS NULL)
        ORDER BY org_id FOR UPDATE) locked;
    IF due IS NULL THEN
        RETURN 0;
    END IF;
    -- A statement of its own: it sees what was committed before the days were locked.
    WITH counted AS MATERIALIZED (
        SELECT org_id, user_id, count(*)::integer AS count FROM login_events
        WHERE org_id = ANY (due) AND created_at >= since AND created_at < until
        GROUP BY org_id, user_id
    ), gone AS (
        DELETE FROM login_daily d WHERE d.org_id = ANY (due) AND d.date = p_date
        AND NOT EXISTS (SELECT FROM counted c WHERE c.org_id = d.org_id AND c.user_id = d.user_id)
    )
    INSERT INTO login_daily (org_id, date, user_id, count)
    SELECT org_id, p_date, user_id, count FROM counted
    ON CONFLICT (org_id, date, user_id) DO UPDATE SET count = excluded.count
        WHERE login_daily.count <> excluded.count;
    UPDATE login_days SET rolled_up_at = clock_timestamp()
    WHERE date = p_date AND org_id = ANY (due);
    RETURN cardinality(due);
END $$;
COMMENT ON FUNCTION roll_up_logins IS
    'Counts a day anew from its events, where it is marked or (p_again) everywhere. Returns the '
    'number of organisations; 0 for a day whose events were dropped.';

CREATE FUNCTION unrolled_login_days(p_before date) RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT date FROM login_days
    WHERE rolled_up_at IS NULL AND date < p_before ORDER BY date
$$;
COMMENT ON FUNCTION unrolled_login_days IS 'Days before a date that some organisation has marked.';
"""

FORGETTING = """
CREATE FUNCTION forget_logins(p_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    this_org constant uuid := nullif(current_setting('app.org_id', true), '')::uuid;
BEGIN
    -- In the order in which roll-ups lock. None of this organisation is at work afterwards.
    LOCK TABLE login_events IN ROW EXCLUSIVE MODE;
    PERFORM FROM login_days WHERE org_id = this_org ORDER BY date FOR UPDATE;
    DELETE FROM login_events WHERE org_id = this_org AND user_id = p_user;
    DELETE FROM login_daily WHERE org_id = this_org AND user_id = p_user;
END $$;
COMMENT ON FUNCTION forget_logins IS
    'Deletes what is counted of the logins of somebody in the current organisation.';

CREATE FUNCTION forget_logins_of_organisation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM login_events WHERE org_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_logins AFTER DELETE ON organisations
    FOR EACH ROW EXECUTE FUNCTION forget_logins_of_organisation();
"""

# From the record of events, as jobs do from now on. The schema's owner, who need not be a
# superuser, sees all tenants meanwhile. What is older than is kept, the first night drops.
BACKFILL = """
ALTER TABLE events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE members NO FORCE ROW LEVEL SECURITY;
SELECT make_login_partition(month AT TIME ZONE 'UTC')
FROM generate_series(
    date_trunc('month', least(now() - interval '2 months', (SELECT min(created_at) FROM events
                                      WHERE action = 'login.succeeded')) AT TIME ZONE 'UTC'),
    now() AT TIME ZONE 'UTC' + interval '2 months', interval '1 month') AS month;
INSERT INTO login_events (org_id, created_at, id, user_id)
SELECT e.org_id, e.created_at, e.resource_id, m.user_id
FROM events e JOIN members m ON m.org_id = e.org_id AND m.user_id = e.account_id
WHERE e.action = 'login.succeeded' AND m.account_id IS NOT NULL
ON CONFLICT DO NOTHING;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
"""

TABLES = ("login_events", "login_days", "login_daily")
THIS_ORG = "org_id = nullif(current_setting('app.org_id', true), '')::uuid"
SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} TO bugtracker_app USING ({here}) WITH CHECK ({here});
CREATE POLICY system ON {table} TO bugtracker_system USING (true) WITH CHECK (true);
"""

FUNCTIONS = (
    "make_login_partition(timestamptz)",
    "drop_login_partition(date)",
    "roll_up_logins(date, boolean)",
    "unrolled_login_days(date)",
    "forget_logins(uuid)",
    "forget_logins_of_organisation()",
)
OWNING = """
GRANT CREATE ON SCHEMA public TO bugtracker_system;
ALTER TABLE login_events OWNER TO bugtracker_system;
{owned}
REVOKE CREATE ON SCHEMA public FROM bugtracker_system;
REVOKE ALL ON FUNCTION {all} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {all} TO bugtracker_app;
"""

RIGHTS = """
GRANT SELECT, INSERT ON login_events TO bugtracker_app;
GRANT SELECT, INSERT, UPDATE (rolled_up_at) ON login_days TO bugtracker_app;
GRANT SELECT ON login_daily TO bugtracker_app;
GRANT SELECT, UPDATE ON login_days TO bugtracker_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON login_daily TO bugtracker_system;
"""


def upgrade() -> None:
    for statements in (EVENTS, DAYS, COUNTING, PARTITIONS, FORGETTING):
        op.execute(statements)
    owned = "\n".join(f"ALTER FUNCTION {each} OWNER TO bugtracker_system;" for each in FUNCTIONS)
    op.execute(OWNING.format(owned=owned, all=", ".join(FUNCTIONS)))
    op.execute(RIGHTS)
    op.execute(BACKFILL)
    for table in TABLES:
        op.execute(SECURITY.format(table=table, here=THIS_ORG))


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: migrations only go forward.")
