"""What somebody finds who reads all logs, the whole database and all mails: no secret."""

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from bugtracker.contract import Contract, Operation
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from tests.processes import free_port, served
from tests.proofs.canaries import STEPS
from tests.proofs.failing import BROKEN, fail_everywhere
from tests.proofs.reporting import Report
from tests.proofs.searching import forms_of, found, mail_text, tables_of
from tests.proofs.visitor import Visitor, mails_in

SECRETIVE = (
    "/api/auth/", "/api/invitations", "/api/api-keys", "/api/exports", "/api/provisioning",
    "/api/webhooks",
)  # fmt: skip
LIMITS = ("PER_IP", "LOGIN", "API_KEY", "SENSITIVE", "MAIL", "PARTNER")


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
        **{f"BUGTRACKER_RATE_LIMIT_{name}": "1000000/minute" for name in LIMITS},
    }


def log_of(visitor: Visitor) -> str:
    return (visitor.mail_dir.parent / "log").read_text()


def visit(environment: dict[str, str], admin_url: str) -> tuple[Visitor, Counter[str]]:
    """Everything, well and badly, at a server of its own: who did it, the failures by table."""
    directory = Path(environment["BUGTRACKER_LOCAL_DIR"])
    url = f"http://127.0.0.1:{environment['BUGTRACKER_PORT']}"
    with (
        (directory / "log").open("w") as log,
        served(environment, log),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        visitor = Visitor(http, directory / "mail")
        visitor.environment = environment
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
    """No password, token, API key, seed or code that passed through any operation of accounts,
    invitations, webhooks, API keys or partners, well or badly, is in any log line, any column of
    the database or any mail but the one it was sent in, neither in the clear nor in hex, base64 or
    percent encoding, and no password as a plain hash."""
    admin_url = cluster.admin_url(own_database)
    visitor, failures = visit(environment, admin_url)
    logged, tables = log_of(visitor), tables_of(admin_url)
    mails = [mail_text(mail) for mail in mails_in(visitor.mail_dir)]
    # The search sees what is there.
    assert_everything_was_visited(logged, contract)
    assert all(failures[table] for table in BROKEN), failures
    assert found({"address": visitor.email}, tables)
    stored = stored_forms(cluster, own_database)
    assert found(stored, tables)
    # Who used a key is told by the key's id.
    assert '"via_key"' in logged

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
        provoked_failures=failures.total(),
        found=0,
    )


def assert_everything_was_visited(logged: str, contract: Contract) -> None:
    """Every operation that deals with secrets is in the log: a new one needs a step."""
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    seen = [(line["method"], line["path"]) for line in lines if line["event"] == "request"]
    missing = [
        operation.id
        for operation in contract.operations.values()
        if operation.path.startswith(SECRETIVE)
        and not any(_is(operation, method, path) for method, path in seen)
    ]
    assert not missing, "no step in canaries.py"


def _is(operation: Operation, method: str, path: str) -> bool:
    template = re.sub(r"\{\w+\}", "[^/]+", operation.path)
    return operation.method.upper() == method and re.fullmatch(template, path) is not None


def stored_forms(cluster: Cluster, database: str) -> dict[str, str]:
    """What the database does hold of passwords, tokens and codes: also nothing for a log."""
    engine = owner_engine(cluster.admin_url(database))
    statement = text(
        "SELECT password_hash FROM credentials"
        " UNION ALL SELECT encode(token_hash, 'hex') FROM refresh_tokens"
        " UNION ALL SELECT encode(token_hash, 'hex') FROM one_time_tokens"
        " UNION ALL SELECT encode(key_hash, 'hex') FROM api_keys"
        " UNION ALL SELECT encode(code_hash, 'hex') FROM backup_codes"
        " UNION ALL SELECT encode(seed_encrypted, 'hex') FROM two_factor"
        " UNION ALL SELECT encode(key_hash, 'hex') FROM partner_keys"
        " UNION ALL SELECT encode(secret_encrypted, 'hex') FROM partner_keys"
        " UNION ALL SELECT encode(secret_encrypted, 'hex') FROM webhook_secrets"
        " WHERE secret_encrypted IS NOT NULL"
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
    assert all(len(form) > 12 for form in forms_of(SECRET, "password"))


SEED = base64.b32encode(bytes(range(200, 220))).decode()


@pytest.mark.parametrize(
    ("kind", "secret", "written"),
    [
        ("seed", SEED, f"secret={SEED}&issuer"),
        ("seed", SEED, SEED.lower()),
        ("seed", SEED, f"\\x{bytes(range(200, 220)).hex()}"),
        ("seed", SEED, base64.b64encode(bytes(range(199, 221))).decode()),
        ("code", "492039", '"code":"492039"'),
        ("code", "492039", "(7,492039,t)"),
        ("code", "492039", b"492039".hex()),
        ("password", SECRET, hashlib.sha256(SECRET.encode()).hexdigest()),
    ],
)
def test_the_search_knows_the_kind(kind: str, secret: str, written: str) -> None:
    """The search of this proof finds seeds, codes and passwords in forms of their own."""
    assert found({f"{kind} 1": secret}, {"text": written}) == [f"{kind} 1 in text"]


@pytest.mark.parametrize("written", ["09:30:00.492039Z", "1492039", "a492039f"])
def test_the_search_takes_no_coincidence_for_a_code(written: str) -> None:
    """The search of this proof finds no code in a fraction of a second or an id."""
    assert found({"code 1": "492039"}, {"text": written}) == []
