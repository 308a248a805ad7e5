"""Migrations are made for databases in use."""

import pytest

from bugtracker.settings import PROJECT_ROOT
from tools.migration_rules import findings

RELEASED_EMPTY = "0018"
"""Up to here nobody had a database with data in it."""

MIGRATIONS = sorted((PROJECT_ROOT / "migrations" / "versions").glob("*.py"))


def test_new_migrations_keep_nobody_out() -> None:
    looked_at = {path.name: findings(path.read_text()) for path in MIGRATIONS}
    new = {name: found for name, found in looked_at.items() if name[:4] > RELEASED_EMPTY}
    assert not any(new.values()), new
    # The rules do find something: what was fine while databases were empty.
    assert looked_at["0008_index_issues_of_organisations.py"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX issues_idx ON issues (org_id);",
        "CREATE INDEX CONCURRENTLY issues_idx ON issues (org_id);",
        "CREATE UNIQUE INDEX IF NOT EXISTS issues_key ON issues (org_id);",
        "ALTER TABLE issues ALTER COLUMN title TYPE varchar(300);",
        "ALTER TABLE issues ALTER title SET DATA TYPE text;",
        "ALTER TABLE issues ALTER COLUMN due_date SET NOT NULL;",
        "ALTER TABLE issues ADD CONSTRAINT short CHECK (length(title) < 9);",
        "ALTER TABLE issues ADD FOREIGN KEY (org_id) REFERENCES organisations;",
        "ALTER TABLE issues ADD CONSTRAINT one UNIQUE (org_id, title);",
        "ALTER TABLE issues ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();",
        "ALTER TABLE issues ADD x int GENERATED ALWAYS AS (1 + 1) STORED;",
        "ALTER TABLE issues DROP COLUMN title;",
        "ALTER TABLE issues RENAME COLUMN title TO name;",
        "DROP TABLE IF EXISTS comments;",
        "update issues set title = '';",
        "-- Why not?\nLOCK TABLE issues;",
    ],
)
def test_what_keeps_people_out_is_found(statement: str) -> None:
    (found,) = findings(f'op.execute("""{statement}""")')
    assert ": " in found
    assert findings(f'op.execute("""-- in use: ten rows\n{statement}""")') == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE issues ADD COLUMN colour text;",
        "ALTER TABLE issues ADD COLUMN colour text NOT NULL DEFAULT 'red';",
        "ALTER TABLE issues ADD CONSTRAINT short CHECK (length(title) < 9) NOT VALID;",
        "ALTER TABLE issues VALIDATE CONSTRAINT short;",
        "ALTER TABLE issues ADD CONSTRAINT one UNIQUE USING INDEX issues_key;",
        "CREATE TABLE fresh (id int); CREATE INDEX fresh_idx ON fresh (id);",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ UPDATE issues SET title = '' $$;",
    ],
)
def test_what_keeps_nobody_out_is_fine(statement: str) -> None:
    assert findings(f'op.execute("""{statement}""")') == []
