"""Changing a password, and setting a forgotten one anew."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from bugtracker.clock import utc_now
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, Event
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import change_account, change_token, employee, events_of
from tests.blocking import Blocker
from tests.registering import Newcomer, answer, get_me, newcomer, refresh, text_of, tokens_of
from tests.world import Org, World, refused

NEW = "Another-Tide-1844"


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def tokens(person: Newcomer) -> dict[str, Any]:
    return tokens_of(person.login())


def change(person: Newcomer, tokens: dict[str, Any], current: str, new: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"current_password": current, "new_password": new}
    return person.http.post("/api/auth/password", json=body, headers=headers)


def forgot(person: Newcomer, **fields: str) -> httpx.Response:
    body = {"email": person.email, **fields}
    return person.http.post("/api/auth/password/forgot", json=body)


def reset(person: Newcomer, token: str, new: str = NEW) -> httpx.Response:
    body = {"token": token, "new_password": new}
    return person.http.post("/api/auth/password/reset", json=body)


def mailed(person: Newcomer, number: int = 1) -> str:
    """The token in the mail of that number."""
    found = re.search(r"#action=reset-password&token=(\S+)", text_of(person.mail(number)))
    assert found is not None
    return found[1]


def account_events(runtime: Runtime, person: Newcomer, action: str) -> list[Event]:
    """Events of the account outside any organisation."""
    with runtime.db.transaction() as session:
        account_id = session.scalars(select(Account.id).where(Account.email == person.email)).one()
    with runtime.db.transaction(account_id=account_id) as session:
        return list(session.scalars(select(Event).where(Event.action == action)))


class TestChange:
    def test_the_new_password_holds_and_the_old_one_does_not(
        self, person: Newcomer, tokens: dict[str, Any]
    ) -> None:
        assert change(person, tokens, person.password, NEW).status_code == 204
        assert person.login().status_code == 401
        assert person.login(password=NEW).status_code == 200

    def test_ends_all_other_sessions(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: dict[str, Any]
    ) -> None:
        others = [tokens_of(person.login()) for _ in range(2)]
        assert change(person, tokens, person.password, NEW).status_code == 204
        for other in others:
            refused(get_me(person.http, other["access_token"]), 401, "token_invalid")
            assert refresh(person.http, other["refresh_token"]).status_code == 401
        assert get_me(person.http, tokens["access_token"]).status_code == 200
        assert refresh(person.http, tokens["refresh_token"]).status_code == 200
        (event,) = events_of(runtime, org, "password.changed")
        assert event.changes == {"sessions_ended": [None, 2]}

    def test_a_mail_says_so_without_a_token(
        self, person: Newcomer, tokens: dict[str, Any], worker: WorkerThread
    ) -> None:
        change(person, tokens, person.password, NEW)
        mail = person.mail()
        assert mail["Subject"] == "Your password was changed"
        assert "token" not in text_of(mail)
        assert NEW not in str(mail)

    def test_a_wrong_current_password_changes_nothing(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: dict[str, Any]
    ) -> None:
        response = change(person, tokens, "Wrong-Words-12", NEW)
        problem = refused(response, 422, "current_password_wrong")
        assert problem["errors"][0]["pointer"] == "/current_password"
        assert get_me(person.http, tokens["access_token"]).status_code == 200
        assert person.login().status_code == 200
        assert events_of(runtime, org, "password.changed") == []

    @pytest.mark.parametrize("weak", ["password123!", "alllowercase", "{username}-Xy1"])
    def test_the_policy_holds(self, person: Newcomer, tokens: dict[str, Any], weak: str) -> None:
        response = change(person, tokens, person.password, weak.format(username=person.username))
        problem = refused(response, 422, "password_too_weak")
        assert problem["errors"][0]["pointer"] == "/new_password"
        assert person.login().status_code == 200

    def test_works_without_an_organisation(self, world: World) -> None:
        loner = world.create_loner()
        body = {"current_password": "Tide-Table-1843", "new_password": NEW}
        assert loner.post("/api/auth/password", body).status_code == 204

    def test_makes_reset_links_worthless(
        self, person: Newcomer, tokens: dict[str, Any], worker: WorkerThread
    ) -> None:
        forgot(person)
        token = mailed(person)
        change(person, tokens, person.password, NEW)
        refused(reset(person, token, "One-More-Tide-1"), 422, "reset_token_invalid")
        assert person.login(password=NEW).status_code == 200


class TestInFlight:
    """What began before a password changed does not outlive it."""

    @pytest.fixture
    def blocked(self, runtime: Runtime, person: Newcomer) -> Iterator[Blocker]:
        """Somebody who holds the account, so that everything stops before its decision."""
        with Blocker(runtime) as blocker:
            account = select(Account.id).where(Account.email == person.email)
            blocker.session.scalars(account.with_for_update()).one()
            yield blocker

    def test_a_change_whose_session_ended_meanwhile_is_refused(
        self, person: Newcomer, tokens: dict[str, Any], blocked: Blocker
    ) -> None:
        changing = blocked.start(lambda: change(person, tokens, person.password, NEW))
        blocked.session.execute(
            text("UPDATE sessions SET revoked_at = now() WHERE account_id ="
                 " (SELECT id FROM accounts WHERE email = :email)"),
            {"email": person.email},
        )  # fmt: skip
        blocked.session.commit()
        refused(changing.result(), 401, "token_invalid")
        assert person.login().status_code == 200

    def test_a_change_overtaken_by_another_is_refused(
        self, runtime: Runtime, person: Newcomer, tokens: dict[str, Any], blocked: Blocker
    ) -> None:
        changing = blocked.start(lambda: change(person, tokens, person.password, NEW))
        blocked.session.execute(
            text("UPDATE credentials SET password_hash = :hash WHERE account_id ="
                 " (SELECT id FROM accounts WHERE email = :email)"),
            {"email": person.email, "hash": runtime.hasher.hash("One-More-Tide-1")},
        )  # fmt: skip
        blocked.session.commit()
        refused(changing.result(), 422, "current_password_wrong")
        assert person.login(password="One-More-Tide-1").status_code == 200

    def test_a_reset_of_an_account_disabled_meanwhile_is_refused(
        self, runtime: Runtime, person: Newcomer, worker: WorkerThread
    ) -> None:
        forgot(person)
        token = mailed(person)
        with Blocker(runtime) as blocker:
            account = select(Account).where(Account.email == person.email).with_for_update()
            blocker.session.scalars(account).one().is_active = False
            blocker.session.flush()
            resetting = blocker.start(lambda: reset(person, token))
        refused(resetting.result(), 422, "reset_token_invalid")


class TestForgot:
    def test_answers_the_same_for_everybody(
        self, runtime: Runtime, person: Newcomer, anonymous: httpx.Client, settings: Settings,
        world: World, org: Org,
    ) -> None:  # fmt: skip
        disabled = employee(world, org, anonymous, settings)
        change_account(runtime, disabled, is_active=False)
        unverified = newcomer(anonymous, settings).registered()
        unknown = newcomer(anonymous, settings)
        # The headers tell of the nearest limit: let it be that of the client's address each time.
        for _ in range(3):
            forgot(newcomer(anonymous, settings))
        answers = [answer(forgot(who)) for who in (person, disabled, unverified, unknown)]
        answers += [answer(forgot(who)) for who in (person, unknown)]
        assert answers[0][0] == 202
        assert all(other == answers[0] for other in answers)

    def test_finds_the_address_in_any_case(self, person: Newcomer, worker: WorkerThread) -> None:
        assert forgot(person, email=person.email.upper()).status_code == 202
        assert mailed(person)

    def test_a_later_mail_ends_the_links_before_it(
        self, person: Newcomer, worker: WorkerThread
    ) -> None:
        forgot(person)
        first = mailed(person)
        forgot(person)
        second = mailed(person, 2)
        refused(reset(person, first), 422, "reset_token_invalid")
        assert reset(person, second).status_code == 200


class TestReset:
    def test_sets_the_password_ends_all_sessions_and_logs_nobody_in(
        self, runtime: Runtime, person: Newcomer, tokens: dict[str, Any], worker: WorkerThread
    ) -> None:
        forgot(person)
        response = reset(person, mailed(person))
        assert response.json() == {"username": person.username, "email": person.email}
        assert response.status_code == 200
        refused(get_me(person.http, tokens["access_token"]), 401, "token_invalid")
        assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        assert person.login().status_code == 401
        me = get_me(person.http, tokens_of(person.login(password=NEW))["access_token"]).json()
        (event,) = account_events(runtime, person, "password.reset")
        assert event.changes == {"sessions_ended": [None, 1]}
        assert event.actor_id == UUID(me["id"])
        assert person.mail(2)["Subject"] == "Your password was changed"

    def test_a_token_works_once(self, person: Newcomer, worker: WorkerThread) -> None:
        forgot(person)
        token = mailed(person)
        assert reset(person, token).status_code == 200
        used = answer(reset(person, token, "One-More-Tide-1"))
        assert used == answer(reset(person, "x" * 43, "One-More-Tide-1"))
        assert (used[0], used[1]["code"]) == (422, "reset_token_invalid")
        assert person.login(password=NEW).status_code == 200

    def test_a_weak_password_does_not_use_the_token_up(
        self, person: Newcomer, worker: WorkerThread
    ) -> None:
        forgot(person)
        token = mailed(person)
        problem = refused(reset(person, token, "password123!"), 422, "password_too_weak")
        assert problem["errors"][0]["pointer"] == "/new_password"
        assert reset(person, token).status_code == 200

    def test_an_expired_token_is_refused(
        self, runtime: Runtime, person: Newcomer, worker: WorkerThread
    ) -> None:
        forgot(person)
        token = mailed(person)
        change_token(runtime, token, expires_at=utc_now() - timedelta(seconds=1))
        refused(reset(person, token), 422, "reset_token_invalid")
        assert person.login().status_code == 200

    def test_a_verification_token_sets_no_password(
        self, anonymous: httpx.Client, settings: Settings, worker: WorkerThread
    ) -> None:
        stranger = newcomer(anonymous, settings).registered()
        token = stranger.token()
        refused(reset(stranger, token), 422, "reset_token_invalid")
        assert stranger.verify(token).status_code == 200

    def test_a_token_for_another_purpose_sets_no_password(
        self, runtime: Runtime, person: Newcomer, worker: WorkerThread
    ) -> None:
        forgot(person)
        token = mailed(person)
        change_token(runtime, token, purpose="verify_email")
        refused(reset(person, token), 422, "reset_token_invalid")
        change_token(runtime, token, purpose="reset_password")
        assert reset(person, token).status_code == 200

    def test_a_reset_token_verifies_no_address(
        self, runtime: Runtime, person: Newcomer, worker: WorkerThread
    ) -> None:
        forgot(person)
        token = mailed(person)
        change_account(runtime, person, verified_at=None)
        refused(reset(person, token), 422, "reset_token_invalid")
        assert person.verify(token).status_code == 422
        assert person.login().status_code == 401
