"""Guessing passwords: counted, bounded, locked, and nobody learns anything by it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, text

from bugtracker.app import create_app, create_runtime
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.models import Account, Event
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import age_attempts, attempts_of, change_member, employee, events_of
from tests.conformance import Conformance
from tests.jobs.running import eventually
from tests.registering import Newcomer, answer, get_me, newcomer, refresh, tokens_of
from tests.serving import serve
from tests.world import Org, World, refused

MOST = 20
WRONG = "Wrong-Words-12"


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """Somebody with a session in the organisation, so that it is the one used last."""
    somebody = employee(world, org, anonymous, settings)
    tokens_of(somebody.login())
    return somebody


def fail(person: Newcomer, times: int) -> None:
    for _ in range(times):
        assert person.login(password=WRONG).status_code == 401


def events_at(runtime: Runtime, person: Newcomer, action: str) -> list[Event]:
    """Events of the account, wherever they are."""
    with runtime.db.transaction() as session:
        found = select(Account.id).where(func.lower(Account.email) == person.email.lower())
        account_id = session.scalars(found).one()
    with runtime.db.transaction(account_id=account_id) as session:
        wanted = select(Event).where(Event.account_id == account_id, Event.action == action)
        return list(session.scalars(wanted.order_by(Event.id)))


class TestLockout:
    def test_after_so_many_failures_the_right_password_is_refused_alike(
        self, person: Newcomer
    ) -> None:
        wrong = answer(person.login(password=WRONG))
        fail(person, MOST - 1)
        assert answer(person.login()) == wrong
        assert wrong[:2][0] == 401
        assert wrong[1]["code"] == "credentials_invalid"

    def test_one_failure_less_locks_nobody(self, person: Newcomer) -> None:
        fail(person, MOST - 1)
        assert person.login().status_code == 200

    def test_a_success_begins_the_count_anew(self, person: Newcomer) -> None:
        for _ in range(2):
            fail(person, MOST - 1)
            assert person.login().status_code == 200

    def test_a_success_is_no_help_to_anybody_else(
        self, runtime: Runtime, person: Newcomer, anonymous: httpx.Client, settings: Settings
    ) -> None:
        nobody = newcomer(anonymous, settings)
        fail(nobody, 2)
        assert person.login().status_code == 200
        assert attempts_of(runtime, f"email:{nobody.email}") == 2

    def test_address_and_username_in_any_case_share_one_count(self, person: Newcomer) -> None:
        names = [
            {"email": person.email},
            {"email": person.email.upper()},
            {"username": person.username},
            {"username": person.username.upper()},
        ]
        for number in range(MOST):
            body = {**names[number % 4], "password": WRONG}
            assert person.http.post("/api/auth/login", json=body).status_code == 401
        for name in names:
            body = {**name, "password": person.password}
            assert person.http.post("/api/auth/login", json=body).status_code == 401

    def test_ends_after_its_time_and_begins_a_new_count(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        fail(person, MOST)
        seconds = runtime.settings.lockout_seconds
        age_attempts(runtime, person, timedelta(seconds=seconds - 30))
        assert person.login().status_code == 401
        age_attempts(runtime, person, timedelta(seconds=31))
        fail(person, MOST - 1)
        assert person.login().status_code == 200

    def test_failures_of_an_earlier_window_do_not_count(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        fail(person, MOST - 1)
        age_attempts(runtime, person, timedelta(seconds=runtime.settings.lockout_window_seconds))
        fail(person, MOST - 1)
        assert person.login().status_code == 200

    def test_sessions_live_on(self, person: Newcomer) -> None:
        tokens = tokens_of(person.login())
        fail(person, MOST)
        assert get_me(person.http, tokens["access_token"]).status_code == 200
        assert refresh(person.http, tokens["refresh_token"]).status_code == 200

    def test_others_are_not_locked(
        self, world: World, org: Org, person: Newcomer, settings: Settings
    ) -> None:
        other = employee(world, org, person.http, settings)
        fail(person, MOST)
        assert other.login().status_code == 200

    @pytest.mark.parametrize("field", ["email", "username"])
    def test_unknown_names_are_counted_and_locked_too(
        self, runtime: Runtime, anonymous: httpx.Client, settings: Settings, field: str
    ) -> None:
        nobody = newcomer(anonymous, settings)
        name = getattr(nobody, field)
        bodies = [{field: name, "password": WRONG}, {field: name.upper(), "password": WRONG}]
        answers = [
            answer(anonymous.post("/api/auth/login", json=bodies[n % 2])) for n in range(MOST + 2)
        ]
        assert all(each == answers[0] for each in answers)
        assert attempts_of(runtime, f"{field}:{name}") == MOST

    def test_the_table_tells_no_names(self, runtime: Runtime, person: Newcomer) -> None:
        fail(person, 1)
        with runtime.db.read() as connection:
            rows = connection.execute(text("SELECT t::text FROM login_attempts t")).scalars()
            told = "\n".join(rows).lower()
        for name in (person.email, person.username):
            assert name.lower() not in told
            assert name.lower().encode().hex() not in told


class TestOtherChecks:
    """Whatever tries a password is counted by the one counter."""

    def test_changing_the_password_is_no_second_way_to_guess(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        token = tokens_of(person.login())["access_token"]
        fail(person, MOST - 1)
        for current in (WRONG, person.password):
            refused(self._change(person, token, current), 422, "current_password_wrong")
        assert person.login().status_code == 401
        assert get_me(person.http, token).status_code == 200
        assert len(events_of(runtime, org, "password.check_failed")) == 1
        assert len(events_of(runtime, org, "account.locked")) == 1

    def test_a_change_with_the_right_one_begins_the_count_anew(self, person: Newcomer) -> None:
        token = tokens_of(person.login())["access_token"]
        fail(person, MOST - 1)
        assert self._change(person, token, person.password).status_code == 204
        fail(person, MOST - 1)
        assert person.login(password="Neap-Table-1844").status_code == 200

    @staticmethod
    def _change(person: Newcomer, token: str, current: str) -> httpx.Response:
        body = {"current_password": current, "new_password": "Neap-Table-1844"}
        headers = {"Authorization": f"Bearer {token}"}
        return person.http.post("/api/auth/password", json=body, headers=headers)


class TestEvents:
    def test_failures_and_the_one_lockout_are_recorded_in_the_last_organisation(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        fail(person, MOST + 3)
        failed = events_of(runtime, org, "login.failed")
        (locked,) = events_of(runtime, org, "account.locked")
        assert len(failed) == MOST
        assert all(set(event.changes) == {"ip", "user_agent"} for event in failed)
        assert {event.actor_id for event in [*failed, locked]} == {None}
        assert {event.account_id for event in failed} == {locked.account_id}
        nothing, until = locked.changes["locked_until"]
        assert nothing is None
        assert until > utc_now().isoformat()

    def test_somebody_who_left_takes_them_along(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        change_member(runtime, person, org, removed_at=utc_now())
        fail(person, 1)
        assert events_of(runtime, org, "login.failed") == []
        (event,) = events_at(runtime, person, "login.failed")
        assert event.org_id is None

    def test_somebody_who_never_came_in_takes_them_along(
        self, world: World, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        newly = employee(world, org, person.http, runtime.settings)
        fail(newly, 1)
        (event,) = events_at(runtime, newly, "login.failed")
        assert event.org_id is None

    def test_unknown_names_leave_none(
        self, cluster: Cluster, database: str, anonymous: httpx.Client, settings: Settings
    ) -> None:
        nobody = newcomer(anonymous, settings)
        answers = [nobody.login(password=WRONG) for _ in range(MOST + 1)]
        request_ids = [response.headers["x-request-id"] for response in answers]
        engine = owner_engine(cluster.admin_url(database))
        with engine.connect() as everything:
            found = select(func.count()).where(Event.request_id.in_(request_ids))
            assert everything.scalar(found) == 0
            assert everything.scalars(select(Event.id).limit(1)).one()
        engine.dispose()


class TestBusy:
    def test_an_attempt_that_was_not_evaluated_does_not_count(
        self, settings: Settings, contract: Contract
    ) -> None:
        # One hash at a time, and nobody may wait for it.
        narrow = settings.model_copy(update={"hashing_threads": 1, "threads": 2})
        runtime = create_runtime(narrow)
        with serve(create_app(runtime, contract)) as server:
            world = World(runtime, server.url, Conformance(contract))
            somebody = employee(world, world.create_org(), world.client(), settings)
            with runtime.hasher._slot():
                for _ in range(MOST + 1):
                    assert somebody.login(password=WRONG).status_code == 503
            assert somebody.login().status_code == 200
            world.close()
        runtime.db.close()


class TestInFlight:
    def test_right_passwords_that_are_being_checked_end_no_lockout(
        self, settings: Settings, contract: Contract
    ) -> None:
        """Somebody who knows the password would get another code tried for each of them."""
        runtime = create_runtime(settings.model_copy(update={"hashing_threads": 1}))
        with serve(create_app(runtime, contract)) as server, ThreadPoolExecutor(3) as pool:
            world = World(runtime, server.url, Conformance(contract))
            somebody = employee(world, world.create_org(), world.client(), settings)
            on = Authenticator(runtime, somebody).switched_on()
            challenge = on.challenge()
            with runtime.hasher._slot():
                waiting = [pool.submit(on.person.login) for _ in range(3)]
                eventually(lambda: on.attempts == 3)
                for _ in range(5):
                    refused(on.complete(challenge, on.wrong_code), 401, "two_factor_invalid")
            assert [each.result().status_code for each in waiting] == [202] * 3
            assert on.attempts == MOST
            refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")
            world.close()
        runtime.db.close()
