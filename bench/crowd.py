"""Other organisations beside ours, small ones, by plain SQL."""

import sys
from typing import LiteralString

from bench.place import Place

ISSUES = 20

_STEPS: tuple[LiteralString, ...] = (
    """
    CREATE TEMPORARY TABLE crowd AS
    SELECT n, gen_random_uuid() AS org, gen_random_uuid() AS person, gen_random_uuid() AS project
    FROM generate_series(2, %(organisations)s) n
    """,
    """
    INSERT INTO organisations (id, slug, name, created_at, updated_at, version)
    SELECT org, 'crowd-' || n, 'Crowd ' || n, now(), now(), 1 FROM crowd
    """,
    """
    INSERT INTO members (org_id, user_id, role, imported_from, imported_username, created_at,
        updated_at, version)
    SELECT org, person, 3, 'crowd', 'person', now(), now(), 1 FROM crowd
    """,
    """
    INSERT INTO projects (org_id, id, key, name, description, created_by_id, is_archived,
        last_issue_number, created_at, updated_at, version)
    SELECT org, project, 'CROWD', 'Crowd', '', person, false, %(issues)s, now(), now(), 1 FROM crowd
    """,
    # The texts are those of our own organisation: the same words everywhere.
    """
    INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
        reporter_id, created_at, updated_at, version)
    SELECT c.org, gen_random_uuid(), c.project, s.number, s.title, s.description, s.status,
        s.priority, c.person, s.created_at, s.updated_at, 1
    FROM crowd c, (SELECT row_number() OVER ()::integer AS number, i.title, i.description, i.status,
                       i.priority, i.created_at, i.updated_at
                   FROM issues i LIMIT %(issues)s) s
    """,
    """
    INSERT INTO comments (org_id, id, issue_id, author_id, content, created_at, updated_at, version)
    SELECT i.org_id, gen_random_uuid(), i.id, i.reporter_id, 'Seen here, too: ' || i.title,
        i.created_at, i.created_at, 1
    FROM issues i JOIN crowd c ON c.org = i.org_id, generate_series(1, 2)
    """,
    "ANALYZE",
)


def crowded(place: Place, organisations: int) -> None:
    """So many organisations in all, each other one with twenty issues and forty comments."""
    print(f"bench: making {organisations - 1:,} organisations", file=sys.stderr)
    values = {"organisations": organisations, "issues": ISSUES}
    with place.connect() as connection:
        for step in _STEPS:
            connection.execute(step, values if "%(" in step else None)
