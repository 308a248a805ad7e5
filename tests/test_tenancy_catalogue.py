"""Tenancy as the database's catalogue has it: nothing was forgotten, nobody may too much."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bugtracker.db import APP_ROLE, owner_engine
from bugtracker.embedded import Cluster
from bugtracker.models import Base

# Global tables that merely mention an organisation: where a login works at the moment.
GLOBAL_WITH_ORG = {"sessions"}
# What the API clears up itself: tokens and claims of the deployment, no tenant's data.
DELETABLE = {
    "usernames",
    "sessions",
    "refresh_tokens",
    "one_time_tokens",
    "idempotency_keys",
    "login_attempts",
    "two_factor",
    "backup_codes",
    "partner_nonces",
}
# Copies of a tenant's data that live for a day: they are read by being deleted.
PASSING = {"export_chunks"}


@pytest.fixture(scope="module")
def catalogue(cluster: Cluster, database: str) -> Iterator[Connection]:
    """A connection that sees the whole catalogue."""
    engine = owner_engine(cluster.admin_url(database))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def column(connection: Connection, query: str, **values: object) -> list[Any]:
    return list(connection.execute(text(query), values).scalars())


@pytest.fixture(scope="module")
def tenant_tables(catalogue: Connection) -> set[str]:
    with_org = column(
        catalogue,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND a.attname = 'org_id' AND NOT a.attisdropped",
    )
    return {*with_org, "organisations"} - GLOBAL_WITH_ORG


class TestCatalogue:
    def test_the_tenant_tables_are_those_we_know(self, tenant_tables: set[str]) -> None:
        known = {table.name for table in Base.metadata.tables.values() if "org_id" in table.columns}
        assert tenant_tables == {*known, "organisations"} - GLOBAL_WITH_ORG
        assert len(tenant_tables) >= 7

    def test_every_tenant_table_forces_row_level_security(
        self, catalogue: Connection, tenant_tables: set[str]
    ) -> None:
        forced = column(
            catalogue,
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relrowsecurity AND relforcerowsecurity",
        )
        assert set(forced) == tenant_tables

    def test_every_policy_for_the_api_names_the_tenant_or_the_account(
        self, catalogue: Connection, tenant_tables: set[str]
    ) -> None:
        policies = catalogue.execute(
            text("SELECT tablename, roles::text[], qual, with_check, cmd FROM pg_policies")
        ).all()
        for policy in policies:
            if policy.roles != ["bugtracker_system"]:
                assert policy.roles == [APP_ROLE]
                conditions = [policy.qual, policy.with_check][: 1 if policy.cmd == "SELECT" else 2]
                assert all("current_setting('app." in str(condition) for condition in conditions)
        assert {policy.tablename for policy in policies} == tenant_tables

    def test_the_apis_role_can_bypass_nothing(self, catalogue: Connection) -> None:
        rights = catalogue.execute(
            text(
                "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin,"
                " rolreplication FROM pg_roles WHERE rolname = :role"
            ),
            {"role": APP_ROLE},
        ).one()
        assert not any(rights)
        memberships = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = {}::regrole"
        assert column(catalogue, memberships.format(f"'{APP_ROLE}'")) == []
        system = column(
            catalogue, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'bugtracker_system'"
        )
        assert system == [False]

    def test_the_apis_role_owns_nothing(self, catalogue: Connection) -> None:
        for kind in ("pg_class", "pg_proc", "pg_namespace", "pg_type"):
            prefix = {"pg_class": "rel", "pg_proc": "pro", "pg_namespace": "nsp", "pg_type": "typ"}
            query = f"SELECT count(*) FROM {kind} WHERE {prefix[kind]}owner = '{APP_ROLE}'::regrole"
            assert column(catalogue, query) == [0]

    def test_the_apis_role_can_delete_and_truncate_no_tenants_data(
        self, catalogue: Connection, tenant_tables: set[str]
    ) -> None:
        query = (
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' AND has_table_privilege(:role, oid, :privilege)"
        )
        assert (
            set(column(catalogue, query, role=APP_ROLE, privilege="DELETE")) == DELETABLE | PASSING
        )
        assert not DELETABLE & tenant_tables
        for privilege in ("TRUNCATE", "TRIGGER", "REFERENCES"):
            assert column(catalogue, query, role=APP_ROLE, privilege=privilege) == []
        changeable = set(column(catalogue, query, role=APP_ROLE, privilege="UPDATE"))
        unchangeable = {"events", "event_seals", "event_commitments", "alembic_version"}
        assert not unchangeable & changeable

    def test_the_public_may_do_nothing(self, catalogue: Connection) -> None:
        create = "SELECT has_schema_privilege('public', 'public', 'CREATE')"
        assert column(catalogue, create) == [False]
        tables = (
            "SELECT relname FROM pg_class WHERE relnamespace IN"
            " ('public'::regnamespace, 'jobs'::regnamespace) AND relkind = 'r'"
            " AND has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE')"
        )
        assert column(catalogue, tables) == []

    def test_references_between_tenant_tables_stay_in_the_tenant(
        self, catalogue: Connection, tenant_tables: set[str]
    ) -> None:
        keys = catalogue.execute(
            text(
                "SELECT c.conname, c.conrelid::regclass::text AS here,"
                " c.confrelid::regclass::text AS there,"
                " (SELECT array_agg(attname::text) FROM pg_attribute"
                "  WHERE attrelid = c.conrelid AND attnum = ANY(c.conkey)) AS ours,"
                " (SELECT array_agg(attname::text) FROM pg_attribute"
                "  WHERE attrelid = c.confrelid AND attnum = ANY(c.confkey)) AS theirs"
                " FROM pg_constraint c WHERE c.contype = 'f'"
                " AND c.connamespace = 'public'::regnamespace"
            )
        ).all()
        between = [key for key in keys if {key.here, key.there} <= tenant_tables]
        assert len(between) >= 8
        for key in between:
            assert "org_id" in key.ours, key.conname
            assert key.there == "organisations" or "org_id" in key.theirs, key.conname

    def test_every_key_of_a_tenant_table_begins_with_the_tenant(
        self, catalogue: Connection, tenant_tables: set[str]
    ) -> None:
        unique = catalogue.execute(
            text(
                "SELECT indrelid::regclass::text AS table, indexrelid::regclass::text AS name,"
                " (SELECT attname FROM pg_attribute"
                "  WHERE attrelid = indrelid AND attnum = indkey[0]) AS first"
                " FROM pg_index JOIN pg_class c ON c.oid = indrelid"
                " WHERE indisunique AND c.relnamespace = 'public'::regnamespace"
            )
        ).all()
        elsewhere = {
            index.name
            for index in unique
            if index.table in tenant_tables and index.first != "org_id"
        }
        # A slug names an organisation to the world; an event's id is ours and random; so is an API
        # key, which is looked up before its organisation is known.
        global_keys = {"organisations_pkey", "organisations_slug_key", "events_pkey"}
        assert elsewhere == {*global_keys, "api_keys_key_hash_key"}

    def test_functions_with_more_rights_are_fenced_in(self, catalogue: Connection) -> None:
        functions = catalogue.execute(
            text(
                "SELECT p.proname, p.proconfig, p.proowner::regrole::text AS owner,"
                " has_function_privilege('public', p.oid, 'EXECUTE') AS by_anybody,"
                " has_function_privilege(:role, p.oid, 'EXECUTE') AS by_api"
                " FROM pg_proc p WHERE p.prosecdef AND p.pronamespace NOT IN"
                " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
            ),
            {"role": APP_ROLE},
        ).all()
        names = {function.proname for function in functions}
        assert names == {
            "live_session",
            "open_session",
            "live_api_key",
            "note_api_key_use",
            "organisation_by_slug",
            "search_issues",
            "find_issues",
            "search_newest_issues",
            "search_newest_comments",
            "number_events",
            "invitation_by_token",
            "due_exports",
            "is_member_anywhere",
            "shared_organisations",
            "audited_organisations",
            "anonymise_event",
            "erase_account",
            "waiting_deletions",
            "undo_provisioning_step",
            "make_login_partition",
            "drop_login_partition",
            "roll_up_logins",
            "unrolled_login_days",
            "forget_logins",
            "forget_logins_of_organisation",
            "webhook_backlogs",
            "claim_webhook_deliveries",
            "prune_webhook_deliveries",
            "add_request_counts",
            "prune_request_counts",
        }
        for function in functions:
            # How it is planned says nothing about whose rows it reads.
            fences = [each for each in function.proconfig if not each.startswith("enable_")]
            assert fences == ["search_path=public, pg_temp"], function.proname
            assert function.owner == "bugtracker_system"
            assert (function.by_anybody, function.by_api) == (False, True)
