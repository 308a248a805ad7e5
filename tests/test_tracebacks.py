"""No value of a statement reaches a log, however the error gets there."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, PendingRollbackError, StatementError

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.jobs.worker import connect_arguments
from bugtracker.logs import log_uncaught
from bugtracker.models import Account, Member
from bugtracker.runtime import Runtime
from bugtracker.tracebacks import full_text, one_line
from tests.edge.test_logs import logging_to

CANARY = "canary-77f0"

Failure = Callable[[Runtime], None]


def account() -> Account:
    now = utc_now()
    fields = {"username": CANARY, "email": f"{CANARY}@example.com"}
    return Account(id=new_id(), created_at=now, updated_at=now, **fields)


def duplicate(runtime: Runtime) -> None:
    with runtime.db.transaction() as session:
        session.add_all([account(), account()])


def failing_row(runtime: Runtime) -> None:
    with runtime.db.transaction() as session:
        person = account()
        person.username = CANARY * 10
        session.add(person)


def quoted_value(runtime: Runtime) -> None:
    with runtime.db.read() as connection:
        connection.execute(text("SELECT CAST(:value AS uuid)"), {"value": CANARY})


def value_we_cannot_send(runtime: Runtime) -> None:
    with runtime.db.transaction() as session:
        now = utc_now()
        row = {"user_id": new_id(), "created_at": now, "updated_at": now}
        session.add(Member(org_id=new_id(), role=CANARY, **row))


def rolled_back(runtime: Runtime) -> None:
    with runtime.db.transaction() as session:
        session.add_all([account(), account()])
        with suppress(DBAPIError):
            session.flush()
        session.execute(text("SELECT 1"))


def raw_driver(runtime: Runtime) -> None:
    insert = "INSERT INTO usernames (username_key, email_key) VALUES (%s, %s)"
    with psycopg.connect(**connect_arguments(runtime.db.engine.url)) as connection:
        for _ in range(2):
            connection.execute(insert, [CANARY, CANARY])


def without_a_server(runtime: Runtime) -> None:
    with psycopg.connect(**connect_arguments(runtime.db.engine.url)) as connection:
        connection.execute("SELECT %s", [f"{CANARY}\0"])


def wrapped(runtime: Runtime) -> None:
    try:
        duplicate(runtime)
    except DBAPIError as error:
        raise RuntimeError("the job failed") from error


def in_a_group(runtime: Runtime) -> None:
    try:
        duplicate(runtime)
    except DBAPIError as error:
        raise ExceptionGroup("some failed", [error]) from None


class Speechless(Exception):
    """Fails when it is asked what it says."""

    def __str__(self) -> str:
        raise ValueError(CANARY)

    __repr__ = __str__


FAILURES: list[Failure] = [
    duplicate,
    failing_row,
    quoted_value,
    value_we_cannot_send,
    rolled_back,
    raw_driver,
    without_a_server,
    wrapped,
    in_a_group,
]


@pytest.fixture(params=FAILURES, ids=lambda failure: failure.__name__)
def error(request: pytest.FixtureRequest, runtime: Runtime) -> Exception:
    with pytest.raises(Exception) as caught:
        request.param(runtime)
    return caught.value


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    with logging_to(log_format=request.param, log_level="DEBUG") as stream:
        yield stream


class TestErrors:
    def test_hold_the_canary_before(self, error: Exception) -> None:
        """Else the tests below would prove nothing. One is silent by itself."""
        assert CANARY in plain_text(error) or "NUL" in plain_text(error)

    def test_are_described_without_it(self, error: Exception) -> None:
        assert CANARY not in full_text(error) + one_line(error)
        assert type(error).__name__ in one_line(error)
        assert "test_tracebacks.py" in full_text(error)

    def test_are_logged_without_it_in_every_way(self, error: Exception, log: io.StringIO) -> None:
        ours, theirs = structlog.get_logger(), logging.getLogger("some.library")
        ours.error("failed", exc_info=error)
        ours.error("failed", reason=error)
        ours.error("failed", reasons=[error], why={"of": (error,)})
        ours.error(error)
        theirs.error("failed", exc_info=error)
        theirs.error("failed: %s, %r", error, error)
        theirs.error(error)
        theirs.error(f"failed: {error!r}", exc_info=error)
        theirs.error(f"failed: {error}", exc_info=error)
        try:
            raise error
        except Exception:
            ours.exception("failed")
            theirs.exception("failed")
        assert log.getvalue().count("failed") >= 9
        assert CANARY not in log.getvalue()

    def test_that_nobody_catches_are_logged_without_it(
        self,
        error: Exception,
        log: io.StringIO,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("sys.excepthook", None)
        monkeypatch.setattr("threading.excepthook", None)
        log_uncaught()

        def fail() -> None:
            raise error

        thread = threading.Thread(target=fail, name="doomed")
        thread.start()
        thread.join()
        assert "doomed" in log.getvalue()
        assert CANARY not in log.getvalue()
        assert capsys.readouterr().err == ""


def plain_text(error: BaseException | None) -> str:
    """What anybody else would log."""
    if error is None:
        return ""
    inside = error.exceptions if isinstance(error, ExceptionGroup) else ()
    parts = [str(error), plain_text(error.__cause__), *map(plain_text, inside)]
    return "\n".join(parts)


class TestDescription:
    def test_says_what_helps(self, runtime: Runtime) -> None:
        with pytest.raises(DBAPIError) as caught:
            duplicate(runtime)
        shown = one_line(caught.value)
        assert "SQLSTATE 23505" in shown
        assert "accounts_email_key" in shown
        assert "INSERT INTO accounts" in shown

    def test_shows_causes_in_order(self, runtime: Runtime) -> None:
        with pytest.raises(RuntimeError) as caught:
            wrapped(runtime)
        shown = full_text(caught.value)
        places = [shown.index(word) for word in ("UniqueViolation", "IntegrityError", "RuntimeErr")]
        assert places == sorted(places)
        assert shown.count("direct cause") == 2

    def test_keeps_what_is_about_the_connection(self) -> None:
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")
        assert "refused" in one_line(caught.value)

    def test_knows_the_kinds(self, runtime: Runtime) -> None:
        with pytest.raises(PendingRollbackError):
            rolled_back(runtime)
        with pytest.raises(StatementError) as caught:
            value_we_cannot_send(runtime)
        assert not isinstance(caught.value, DBAPIError)


class TestSpeechless:
    """An exception whose own text fails."""

    def test_costs_no_line(self, log: io.StringIO) -> None:
        ours, theirs, error = structlog.get_logger(), logging.getLogger("a.library"), Speechless()
        ours.error("one", exc_info=error)
        ours.error("two", reason=error)
        theirs.error("three", exc_info=error)
        told = log.getvalue()
        assert all(word in told for word in ("one", "two", "three"))
        assert told.count("Speechless: (its own text failed)") == 3
