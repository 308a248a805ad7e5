"""What the references have in common: settings, the token, cursors, the words of the schema.

They connect as a superuser, so row-level security costs them nothing; the organisation is in every
WHERE instead. They have no limits of requests, no events and no security headers.
"""

import base64
import json
import os
from typing import Any

import jwt

DATABASE_URL = os.environ["BENCH_DATABASE_URL"]
"""``postgresql://``: each reference puts the name of its driver in."""
PUBLIC_KEY = jwt.PyJWK.from_json(os.environ["BENCH_PUBLIC_KEY"])
ISSUER = os.environ["BENCH_ISSUER"]
AUDIENCE = "bugtracker"
POOL_SIZE = 16
"""As many as requests at once: with SQLAlchemy's default of five, most would connect anew."""

STATUSES = ("open", "in_progress", "resolved", "closed", "reopened")
PRIORITIES = ("low", "medium", "high", "critical")
OWNER, ADMIN, MANAGER, DEVELOPER, MEMBER, AUDITOR = range(6)
TRANSITIONS = {
    "open": {"in_progress"},
    "in_progress": {"resolved"},
    "resolved": {"closed", "reopened"},
    "closed": {"reopened"},
    "reopened": {"in_progress"},
}


def verified(token: str) -> dict[str, Any]:
    """The claims of an access token; raises jwt.PyJWTError."""
    claims: dict[str, Any] = jwt.decode(
        token, PUBLIC_KEY, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER
    )
    return claims


def encode_cursor(value: Any, identity: Any) -> str:
    """Where the next page begins."""
    return base64.urlsafe_b64encode(json.dumps([str(value), str(identity)]).encode()).decode()


def decode_cursor(cursor: str) -> tuple[str, str]:
    """The sort value and the id of the last row of the page before."""
    value, identity = json.loads(base64.urlsafe_b64decode(cursor))
    return value, identity


def may_change(
    role: int, user_id: Any, reporter_id: Any, assignee_id: Any, creator_id: Any
) -> bool:
    """Whether somebody may change an issue, by its people or by their role."""
    return role <= MANAGER or user_id in (reporter_id, assignee_id, creator_id)
