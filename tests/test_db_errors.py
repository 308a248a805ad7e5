"""What clients and logs are told when the database fails."""

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, select, text
from sqlalchemy.exc import DBAPIError

from bugtracker import db as database_module
from bugtracker.app import create_app, create_runtime
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.db import Database, owner_engine
from bugtracker.db_errors import as_app_error
from bugtracker.embedded import Cluster
from bugtracker.errors import AppError
from bugtracker.ids import new_id
from bugtracker.logs import configure_logging
from bugtracker.models import Account, Credential
from bugtracker.runtime import Runtime
from bugtracker.security.keys import KeyStore
from bugtracker.settings import Settings
from tests.behind import employee
from tests.blocking import Blocker
from tests.conformance import Conformance
from tests.registering import Newcomer, answer
from tests.serving import serve
from tests.world import World

UNAVAILABLE = "service_unavailable"


@pytest.fixture
def admin(cluster: Cluster, database: str) -> Iterator[Engine]:
    engine = owner_engine(cluster.admin_url(database))
    yield engine.execution_options(isolation_level="AUTOCOMMIT")
    engine.dispose()


@pytest.fixture
def application(settings: Settings) -> str:
    """What the connections of this test's server call themselves."""
    return f"victim-{uuid4().hex[:8]}"


@pytest.fixture
def fragile(
    settings: Settings,
    contract: Contract,
    application: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """A server with two connections that waits for locks and connections a moment only."""
    monkeypatch.setitem(database_module.SESSION_OPTIONS, "lock_timeout", "300ms")
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value())
    named = url.update_query_dict({"application_name": application})
    shown = named.render_as_string(hide_password=False)
    runtime = create_runtime(settings.model_copy(update={"database_url": SecretStr(shown)}))
    runtime.db.close()
    small = Database(shown, pool_size=2, pool_timeout=0.3)
    runtime = replace(runtime, db=small, keys=KeyStore(small, runtime.keyring))
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    small.close()


@pytest.fixture
def person(fragile: World) -> Newcomer:
    org = fragile.create_org()
    return employee(fragile, org, fragile.client(), fragile.runtime.settings)


def lock_account(blocker: Blocker, person: Newcomer) -> None:
    account = select(Account.id).where(Account.email == person.email).with_for_update()
    blocker.session.scalars(account).one()


def terminate(admin: Engine, condition: str, **values: object) -> int:
    """Ends the backends that match; returns how many they were."""
    query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {condition}"
    with admin.connect() as connection:
        return len(connection.execute(text(query), values).all())


class TestConnectionLost:
    def test_in_the_middle_of_a_request_is_a_503_and_leaves_nothing_behind(
        self, fragile: World, runtime: Runtime, admin: Engine, person: Newcomer
    ) -> None:
        with Blocker(runtime) as blocker:
            lock_account(blocker, person)
            login = blocker.start(person.login)
            assert terminate(admin, "pid = :pid", pid=blocker.waiting_pid()) == 1
            refused = login.result()
        assert (refused.status_code, refused.json()["code"]) == (503, UNAVAILABLE)
        assert int(refused.headers["retry-after"]) > 0
        assert person.me()["login_count"] == 1

    def test_between_requests_costs_one_answer_at_most(
        self, fragile: World, admin: Engine, person: Newcomer, application: str
    ) -> None:
        assert person.login().status_code == 200
        for _ in range(3):
            assert terminate(admin, "application_name = :name", name=application) >= 1
            first, second = person.login(), person.login()
            assert first.status_code in (200, 503)
            assert second.status_code == 200

    def test_during_authentication_is_a_503_too(
        self, fragile: World, admin: Engine, application: str
    ) -> None:
        caller = fragile.create_org().member
        assert caller.get("/api/auth/me").status_code == 200
        assert terminate(admin, "application_name = :name", name=application) >= 1
        refused = caller.get("/api/auth/me")
        assert (refused.status_code, refused.json()["code"]) == (503, UNAVAILABLE)
        assert caller.get("/api/auth/me").status_code == 200


class TestWaiting:
    def test_for_a_lock_too_long_is_a_503(
        self, fragile: World, runtime: Runtime, person: Newcomer
    ) -> None:
        with Blocker(runtime) as blocker:
            lock_account(blocker, person)
            refused = person.login()
        assert (refused.status_code, refused.json()["code"]) == (503, UNAVAILABLE)
        assert person.login().status_code == 200

    def test_for_a_connection_too_long_is_a_503(self, fragile: World) -> None:
        caller = fragile.create_org().member
        with fragile.runtime.db.engine.connect() as held:
            with fragile.runtime.db.engine.connect():
                refused = caller.get("/api/auth/me")
                assert (refused.status_code, refused.json()["code"]) == (503, UNAVAILABLE)
                # Nothing is wrong with the process itself.
                assert caller.get("/healthz").status_code == 200
            assert held.scalar(text("SELECT 1")) == 1
            assert caller.get("/api/auth/me").status_code == 200

    def test_answers_are_alike_whatever_was_waited_for(
        self, fragile: World, runtime: Runtime, person: Newcomer
    ) -> None:
        body = {"email": person.email, "password": person.password}
        with Blocker(runtime) as blocker:
            lock_account(blocker, person)
            for_lock = answer(person.http.post("/api/auth/login", json=body))
        engine = fragile.runtime.db.engine
        with engine.connect(), engine.connect():
            for_connection = answer(person.http.post("/api/auth/login", json=body))
        assert for_lock == for_connection


class TestLogs:
    """What a statement carried never reaches the log, not even through PostgreSQL's own words."""

    CANARY = "canary-8f41"

    @pytest.fixture
    def log(self, settings: Settings) -> Iterator[StringIO]:
        stream = StringIO()
        configure_logging(settings.model_copy(update={"log_level": "DEBUG"}), stream)
        yield stream
        configure_logging(settings)

    def failure(self, runtime: Runtime, *rows: object) -> AppError:
        with runtime.db.transaction() as session:
            session.add_all(rows)
            with pytest.raises(DBAPIError) as caught:
                session.flush()
            session.rollback()
        return as_app_error(caught.value)

    def account(self, **different: object) -> Account:
        now = utc_now()
        fields = {"username": self.CANARY, "email": f"{self.CANARY}@example.com", **different}
        return Account(id=new_id(), created_at=now, updated_at=now, **fields)

    def test_a_duplicate_is_told_by_its_constraint(self, runtime: Runtime, log: StringIO) -> None:
        error = self.failure(runtime, self.account(), self.account())
        assert error.status == 500
        assert "accounts_email_key" in log.getvalue()
        assert "23505" in log.getvalue()
        assert self.CANARY not in log.getvalue()

    def test_a_row_that_breaks_a_rule_is_not_shown(self, runtime: Runtime, log: StringIO) -> None:
        self.failure(runtime, self.account(username=self.CANARY * 10))
        assert "accounts_username_check" in log.getvalue()
        assert self.CANARY not in log.getvalue()

    def test_a_hash_without_an_account_is_not_shown(self, runtime: Runtime, log: StringIO) -> None:
        row = Credential(account_id=new_id(), password_hash=self.CANARY, changed_at=utc_now())
        self.failure(runtime, row)
        assert "credentials_account_id_fkey" in log.getvalue()
        assert self.CANARY not in log.getvalue()
        assert str(row.account_id) not in log.getvalue()

    def test_a_value_of_the_wrong_kind_is_not_quoted(self, runtime: Runtime, log: StringIO) -> None:
        with pytest.raises(DBAPIError) as caught, runtime.db.read() as connection:
            connection.execute(text("SELECT CAST(:value AS uuid)"), {"value": self.CANARY})
        as_app_error(caught.value)
        assert "22P02" in log.getvalue()
        assert self.CANARY not in log.getvalue()

    def test_the_place_in_our_code_is_shown(self, runtime: Runtime, log: StringIO) -> None:
        self.failure(runtime, self.account(), self.account())
        assert "test_db_errors.py" in log.getvalue()
        assert "INSERT INTO accounts" in log.getvalue()
