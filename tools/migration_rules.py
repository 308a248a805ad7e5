"""What a migration must not do to tables in use: the rules of docs/operations/migrations.md.

Reads the SQL in a migration's source. A statement that breaks a rule on purpose says why in a
comment of its own: ``-- in use: 200 rows at most``.
"""

import re

EXCUSE = "-- in use:"

_NAME = r'(?:IF (?:NOT )?EXISTS )?(?:ONLY )?"?(?P<table>[a-z_.{}]+)"?'

RULES: tuple[tuple[str, str], ...] = (
    (
        rf"CREATE (?:UNIQUE )?INDEX [^;]*? ON {_NAME}",
        "keeps out writes: made CONCURRENTLY before, IF NOT EXISTS here",
    ),
    (rf"ALTER TABLE {_NAME}[^;]*? ALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE", "rewrites the table"),
    (rf"ALTER TABLE {_NAME}[^;]*? SET NOT NULL", "reads the table: CHECK … NOT VALID, VALIDATE"),
    (
        rf"ALTER TABLE {_NAME}[^;]*? ADD (?:CONSTRAINT \S+ )?(?:CHECK|FOREIGN KEY)"
        r"(?![^;]*NOT VALID)",
        "reads the table: NOT VALID, then VALIDATE",
    ),
    (
        rf"ALTER TABLE {_NAME}[^;]*? ADD (?:CONSTRAINT \S+ )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)"
        r"(?![^;]*USING INDEX)",
        "builds an index: made CONCURRENTLY before, USING INDEX here",
    ),
    (
        rf"ALTER TABLE {_NAME}[^;]*? ADD (?:COLUMN )?[^;]*DEFAULT"
        r" (?:gen_random_uuid|clock_timestamp|random|nextval)",
        "rewrites the table: fill it in batches",
    ),
    (
        rf"ALTER TABLE {_NAME}[^;]*? ADD (?:COLUMN )?[^;]*GENERATED ALWAYS AS \(",
        "rewrites the table",
    ),
    (rf"ALTER TABLE {_NAME}[^;]*? (?:DROP COLUMN|RENAME)", "breaks the version before"),
    (rf"DROP TABLE {_NAME}", "breaks the version before"),
    (r"(?:VACUUM FULL|CLUSTER|LOCK TABLE|REINDEX (?!.*CONCURRENTLY))", "keeps everybody out"),
    (rf"UPDATE {_NAME} (?:AS \w+ |\w+ )?SET", "one long transaction: fill in batches, by a job"),
)

_MADE = re.compile(rf"CREATE TABLE {_NAME}", re.IGNORECASE)
_BODY = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*")


def findings(source: str) -> list[str]:
    """Each broken rule with the statement that breaks it. Tables made in the same migration are
    nobody's yet; what functions do later is not looked at."""
    source = _BODY.sub("", source)
    made = {found["table"] for found in _MADE.finditer(source)}
    return [
        f"{why}: {' '.join(bare.split())[:100]}"
        for statement in source.split(";")
        if EXCUSE not in statement
        for bare in [" ".join(_COMMENT.sub("", statement).split())]
        for pattern, why in RULES
        if (found := re.search(rf"(?<!\w){pattern}", bare, re.IGNORECASE))
        and found.groupdict().get("table") not in made
    ]
