"""Operations that write secrets, while the database refuses to store them and quotes the rows."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from sqlalchemy import text

from bugtracker.db import owner_engine
from tests.jobs.running import eventually
from tests.proofs.canaries_of_factors import FACTOR
from tests.proofs.canaries_of_guests import API_KEYS, INVITATIONS
from tests.proofs.visitor import Visitor
from tests.registering import refresh
from tests.world import Json

Call = Callable[[], httpx.Response]

SPECIAL = ("two_factor", "backup_codes", "invitations", "api_keys")
BROKEN = (
    "credentials",
    "sessions",
    "refresh_tokens",
    "one_time_tokens",
    "login_attempts",
    *SPECIAL,
)
"""Tables that refuse what is written while operations fail."""


def fail_everywhere(visitor: Visitor, admin_url: str) -> Counter[str]:
    """Writes to each table while it refuses; returns how many 500s, or
    failed jobs, came of each."""
    failures = Counter[str]()
    for table in BROKEN:
        pair = visitor.logged_in()
        calls = [special(visitor, pair, table)] if table in SPECIAL else usual(visitor, pair, table)
        with refusing(admin_url, table):
            failures[table] = sum(call().status_code == 500 for call in calls)
            if table == "one_time_tokens":
                # Only the job that mails writes here.
                eventually(lambda: has_failed(admin_url))
                failures[table] += 1
    return failures


@contextmanager
def refusing(admin_url: str, table: str) -> Iterator[None]:
    """Nothing can be written to a table meanwhile; the database quotes the row that it refuses."""
    statements = (
        f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK (false) NOT VALID",
        f"ALTER TABLE {table} DROP CONSTRAINT refused",
    )
    engine = owner_engine(admin_url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statements[0]))
        try:
            yield
        finally:
            connection.execute(text(statements[1]))
    engine.dispose()


def has_failed(admin_url: str) -> bool:
    """Whether a job has failed and waits for another try."""
    engine = owner_engine(admin_url)
    with engine.connect() as connection:
        failed = text(
            "SELECT count(*) FROM jobs.procrastinate_jobs WHERE attempts > 0 AND status = 'todo'"
        )
        count = connection.scalar(failed)
    engine.dispose()
    return bool(count)


def usual(visitor: Visitor, pair: Json, table: str) -> list[Call]:
    """What writes passwords and tokens of several tables."""
    return [
        lambda: visitor.register(email=f"{table}@example.com", username=f"by-{table}"),
        visitor.login,
        lambda: refresh(visitor.http, pair["refresh_token"]),
        lambda: visitor.post("/api/auth/password/forgot", email=visitor.email),
        lambda: change(visitor, pair),
    ]


def change(visitor: Visitor, pair: Json) -> httpx.Response:
    new = visitor.new_password()
    body = {"current_password": visitor.password, "new_password": new}
    answer = visitor.http.post("/api/auth/password", json=body, headers=visitor.as_me(pair))
    if answer.is_success:
        visitor.password = new
    return answer


def special(visitor: Visitor, pair: Json, table: str) -> Call:
    """What writes to one table only; what it needs is there already."""
    mine = visitor.as_me(pair)
    password = {"password": visitor.password}
    if table == "two_factor":
        return lambda: visitor.http.post(FACTOR, json=password, headers=mine)
    if table == "backup_codes":
        seed = visitor.http.post(FACTOR, json=password, headers=mine).json()["secret"]
        code = {"code": visitor.shown(visitor.keep("seed", seed))}
        return lambda: visitor.http.post(f"{FACTOR}/confirm", json=code, headers=mine)
    if table == "api_keys":
        body = {"name": "Refused", "scopes": ["projects.read"]}
        return lambda: visitor.http.post(API_KEYS, json=body, headers=mine)
    guest = visitor.companion(f"refused-{visitor.email}")
    invitation = {"email": guest.email, "role": "member"}
    visitor.http.post(INVITATIONS, json=invitation, headers=mine)
    body = {
        "token": guest.mailed("accept-invitation"),
        "username": guest.username,
        "password": guest.password,
    }
    return lambda: guest.post(f"{INVITATIONS}/accept", **body)
