"""What somebody finds who reads all logs, the whole database and all mails: no secret."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from bugtracker.contract import Contract, Operation
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from tests.jobs.running import eventually
from tests.processes import free_port, served
from tests.proofs.canaries import STEPS, Visitor, mails_in
from tests.proofs.reporting import Report
from tests.proofs.searching import forms_of, found, mail_text, tables_of
from tests.registering import refresh
from tests.world import Json

BROKEN = ("credentials", "sessions", "refresh_tokens", "one_time_tokens", "login_attempts")
"""Tables that refuse what is written while operations fail."""


@pytest.fixture(autouse=True)
def proof_round() -> int:
    """Once is enough: this is no race."""
    return 1


@pytest.fixture
def environment(cluster: Cluster, own_database: str, tmp_path: Path) -> dict[str, str]:
    """A server that tells all it can, with its worker inside."""
    return {
        "DATABASE_URL": cluster.api_url(own_database),
        "BUGTRACKER_SECRET_KEY": "a test secret of more than 32 characters",
        "BUGTRACKER_PORT": str(free_port()),
        "BUGTRACKER_LOCAL_DIR": str(tmp_path),
        "BUGTRACKER_RUN_WORKER": "true",
        "BUGTRACKER_LOG_LEVEL": "DEBUG",
        "BUGTRACKER_LOG_FORMAT": "json",
        "BUGTRACKER_RATE_LIMIT_PER_IP": "1000000/minute",
        "BUGTRACKER_RATE_LIMIT_LOGIN": "1000000/minute",
    }


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


def fail_everywhere(visitor: Visitor, admin_url: str) -> int:
    """The operations that write secrets, while each table refuses; returns how many 500s came."""
    pair, failures = visitor.logged_in(), 0
    for table in BROKEN:
        with refusing(admin_url, table):
            answers = [
                visitor.register(email=f"{table}@example.com", username=f"by-{table}"),
                visitor.login(),
                refresh(visitor.http, pair["refresh_token"]),
                visitor.post("/api/auth/password/forgot", email=visitor.email),
                change(visitor, pair),
            ]
            failures += sum(answer.status_code == 500 for answer in answers)
            if table == "one_time_tokens":
                eventually(lambda: has_failed(admin_url))
    return failures


def change(visitor: Visitor, pair: Json) -> httpx.Response:
    body = {"current_password": visitor.password, "new_password": visitor.new_password()}
    return visitor.http.post("/api/auth/password", json=body, headers=visitor.as_me(pair))


def log_of(visitor: Visitor) -> str:
    return (visitor.mail_dir.parent / "log").read_text()


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


def visit(environment: dict[str, str], admin_url: str) -> tuple[Visitor, int]:
    """Everything, well and badly, at a server of its own; who did it, and how many 500s came."""
    directory = Path(environment["BUGTRACKER_LOCAL_DIR"])
    url = f"http://127.0.0.1:{environment['BUGTRACKER_PORT']}"
    with (
        (directory / "log").open("w") as log,
        served(environment, log),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        visitor = Visitor(http, directory / "mail")
        for step in STEPS:
            step(visitor)
        return visitor, fail_everywhere(visitor, admin_url)


def test_no_secret_lies_about(
    cluster: Cluster,
    own_database: str,
    environment: dict[str, str],
    contract: Contract,
    report: Report,
) -> None:
    """No password and no token that passed through any operation of accounts, well or badly, is in
    any log line, any column of the database or any mail but the one it was sent in, neither in the
    clear nor in hex, base64 or percent encoding, and no password as a plain hash."""
    admin_url = cluster.admin_url(own_database)
    visitor, failures = visit(environment, admin_url)
    logged, tables = log_of(visitor), tables_of(admin_url)
    mails = [mail_text(mail) for mail in mails_in(visitor.mail_dir)]
    # The search sees what is there.
    assert_everything_was_visited(logged, contract)
    assert failures >= len(BROKEN)
    assert found({"address": visitor.email}, tables)
    stored = stored_forms(cluster, own_database)
    assert found(stored, tables)

    assert found(visitor.secrets | stored, {"the log": logged}) == []
    assert found(visitor.secrets, tables) == []
    mailed = {name: s for name, s in visitor.secrets.items() if name.startswith("mailed")}
    for secret in mailed.values():
        assert sum(secret in mail for mail in mails) == 1
    others = {name: s for name, s in visitor.secrets.items() if name not in mailed}
    assert found(others, {"a mail": "\n".join(mails)}) == []
    report(
        secrets=len(visitor.secrets),
        log_lines=logged.count("\n"),
        tables=len(tables),
        mails=len(mails),
        provoked_500s=failures,
        found=0,
    )


def assert_everything_was_visited(logged: str, contract: Contract) -> None:
    """Every operation of accounts and sessions is in the log: a new one needs a step."""
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    seen = [(line["method"], line["path"]) for line in lines if line["event"] == "request"]
    missing = [
        operation.id
        for operation in contract.operations.values()
        if operation.path.startswith("/api/auth/")
        and not any(_is(operation, method, path) for method, path in seen)
    ]
    assert not missing, "no step in canaries.py"


def _is(operation: Operation, method: str, path: str) -> bool:
    template = re.sub(r"\{\w+\}", "[^/]+", operation.path)
    return operation.method.upper() == method and re.fullmatch(template, path) is not None


def stored_forms(cluster: Cluster, database: str) -> dict[str, str]:
    """What the database does hold of passwords and tokens: also nothing for a log."""
    engine = owner_engine(cluster.admin_url(database))
    statement = text(
        "SELECT password_hash FROM credentials"
        " UNION ALL SELECT encode(token_hash, 'hex') FROM refresh_tokens"
        " UNION ALL SELECT encode(token_hash, 'hex') FROM one_time_tokens"
    )
    with engine.connect() as connection:
        forms = connection.scalars(statement).all()
    engine.dispose()
    return {f"stored form {number}": form for number, form in enumerate(forms)}


SECRET = "Canary-0123456789/+~"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode() + b"yz").decode(),
        base64.urlsafe_b64encode(b"xx" + SECRET.encode()).decode(),
        SECRET.encode().hex().upper(),
        "Canary-0123456789%2F%2B~",
    ],
)
def test_the_search_recognises(written: str) -> None:
    """The search of this proof finds a secret in each of the forms that it names."""
    assert found({"token": SECRET}, {"text": f"before {written} after"}) == ["token in text"]
    assert not found({"token": SECRET}, {"text": "before Canary-0123456789 after"})
    assert all(len(form) > 12 for form in forms_of(SECRET, hashed=True))
