"""Logins with a second factor: challenge, code, and what wrong codes lead to."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from bugtracker.clock import utc_now
from bugtracker.models import Account, OneTimeToken, TwoFactor
from bugtracker.models import Session as Login
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import age_attempts, change_token, employee, events_of
from tests.registering import Newcomer, answer, get_me, tokens_of
from tests.world import Org, World, refused

WRONG = "Wrong-Words-12"


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def on(runtime: Runtime, person: Newcomer) -> Authenticator:
    """Their authenticator, in force."""
    return Authenticator(runtime, person).switched_on()


class TestLogin:
    def test_answers_with_a_challenge_and_no_session(self, on: Authenticator) -> None:
        response = on.person.login()
        assert response.status_code == 202
        assert response.headers["Cache-Control"] == "no-store"
        assert set(response.json()) == {"challenge", "expires_in"}
        assert response.json()["expires_in"] == 300
        with on.runtime.db.transaction() as session:
            living = select(func.count()).join_from(Login, Account, Account.id == Login.account_id)
            own = living.where(Account.email == on.person.email, Login.revoked_at.is_(None))
            assert session.scalar(own) == 1

    def test_only_the_hash_of_the_challenge_is_stored(self, on: Authenticator) -> None:
        challenge = on.challenge()
        with on.runtime.db.transaction() as session:
            row = session.scalars(
                select(OneTimeToken).where(OneTimeToken.token_hash == token_hash(challenge))
            ).one()
        assert row.purpose == "two_factor_challenge"

    def test_a_wrong_password_is_answered_as_ever(
        self, on: Authenticator, person: Newcomer
    ) -> None:
        refused(person.login(password=WRONG), 401, "credentials_invalid")

    def test_a_repeated_request_gets_the_same_challenge(self, on: Authenticator) -> None:
        body = {"email": on.person.email, "password": on.person.password}
        headers = {"Idempotency-Key": "two-factor-" + on.person.username}
        first, second = (
            on.http.post("/api/auth/login", json=body, headers=headers) for _ in range(2)
        )
        assert second.headers["Idempotency-Replayed"] == "true"
        assert first.json() == second.json()
        assert second.status_code == 202


class TestCompleteLogin:
    def test_a_code_starts_the_session(self, runtime: Runtime, org: Org, on: Authenticator) -> None:
        tokens = tokens_of(on.complete(on.challenge(), on.fresh_code))
        me = get_me(on.http, tokens["access_token"]).json()
        assert me["email"] == on.person.email
        assert me["login_count"] == 2
        last = events_of(runtime, org, "login.succeeded")[-1]
        assert last.changes["second_factor"] == [None, "authenticator"]

    def test_a_backup_code_does_so_once(
        self, runtime: Runtime, org: Org, on: Authenticator
    ) -> None:
        code = on.backup_codes[0]
        tokens_of(on.complete(on.challenge(), code.upper().replace("-", "")))
        refused(on.complete(on.challenge(), code), 401, "two_factor_invalid")
        last = events_of(runtime, org, "login.succeeded")[-1]
        assert last.changes["second_factor"] == [None, "backup_code"]

    def test_a_code_is_never_accepted_twice(self, on: Authenticator) -> None:
        code = on.fresh_code
        tokens_of(on.complete(on.challenge(), code))
        refused(on.complete(on.challenge(), code), 401, "two_factor_invalid")

    def test_no_code_from_before_the_last_one(self, on: Authenticator) -> None:
        code = on.fresh_code
        with on.runtime.db.transaction() as session:
            session.execute(update(TwoFactor).values(last_step=2**40))
        refused(on.complete(on.challenge(), code), 401, "two_factor_invalid")

    def test_a_challenge_works_once(self, on: Authenticator) -> None:
        challenge = on.challenge()
        tokens_of(on.complete(challenge, on.fresh_code))
        refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")

    def test_a_wrong_code_leaves_the_challenge(self, on: Authenticator) -> None:
        challenge = on.challenge()
        refused(on.complete(challenge, on.wrong_code), 401, "two_factor_invalid")
        tokens_of(on.complete(challenge, on.fresh_code))

    def test_an_expired_challenge_is_worthless(self, on: Authenticator) -> None:
        challenge = on.challenge()
        change_token(on.runtime, challenge, expires_at=utc_now())
        refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")

    def test_an_unknown_challenge_is_answered_like_a_wrong_code(self, on: Authenticator) -> None:
        wrong = on.complete(on.challenge(), on.wrong_code)
        assert answer(on.complete("unknown", on.wrong_code)) == answer(wrong)

    def test_a_token_for_another_purpose_is_no_challenge(self, on: Authenticator) -> None:
        challenge = on.challenge()
        change_token(on.runtime, challenge, purpose="reset_password")
        refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")

    def test_somebody_elses_code_is_wrong(
        self, world: World, org: Org, on: Authenticator, settings: Settings
    ) -> None:
        other = Authenticator(on.runtime, employee(world, org, on.http, settings)).switched_on()
        refused(on.complete(on.challenge(), other.fresh_code), 401, "two_factor_invalid")
        refused(on.complete(on.challenge(), other.backup_codes[0]), 401, "two_factor_invalid")

    def test_is_for_the_organisation_that_the_login_asked_for(
        self, world: World, org: Org, on: Authenticator
    ) -> None:
        other = world.create_org()
        account_id = get_me(on.http, on.access).json()["id"]
        world.join(account_id, other.id, "auditor")
        challenge = on.challenge(org_id=str(other.id))
        tokens = tokens_of(on.complete(challenge, on.fresh_code))
        assert get_me(on.http, tokens["access_token"]).json()["org_id"] == str(other.id)

    def test_not_into_a_foreign_organisation(self, world: World, on: Authenticator) -> None:
        challenge = on.challenge(org_id=str(world.create_org().id))
        refused(on.complete(challenge, on.fresh_code), 403, "permission_denied")

    def test_a_new_password_makes_challenges_worthless(self, on: Authenticator) -> None:
        challenge = on.challenge()
        body = {"current_password": on.person.password, "new_password": "Another-Tide-1844"}
        headers = {"Authorization": f"Bearer {on.access}"}
        response = on.http.post("/api/auth/password", json=body, headers=headers)
        assert response.status_code == 204
        refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")

    def test_a_disabled_account_stays_out(self, on: Authenticator) -> None:
        challenge = on.challenge()
        with on.runtime.db.transaction() as session:
            own = update(Account).where(Account.email == on.person.email)
            session.execute(own.values(is_active=False))
        refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")


class TestGuessing:
    def test_a_right_password_does_not_reset_the_counter(self, on: Authenticator) -> None:
        """Else whoever knows the password tries codes without end."""
        for _ in range(3):
            on.complete(on.challenge(), on.wrong_code)
        assert on.attempts == 12
        on.challenge()
        assert on.attempts == 12
        body = {"current_password": on.person.password, "new_password": "Another-Tide-1844"}
        headers = {"Authorization": f"Bearer {on.access}"}
        assert on.http.post("/api/auth/password", json=body, headers=headers).status_code == 204
        assert on.attempts == 12

    def test_a_right_code_resets_it(self, on: Authenticator) -> None:
        on.complete(on.challenge(), on.wrong_code)
        tokens_of(on.complete(on.challenge(), on.fresh_code))
        assert on.attempts == 0

    def test_five_wrong_codes_lock_the_account(
        self, runtime: Runtime, org: Org, on: Authenticator, settings: Settings
    ) -> None:
        challenge = on.challenge()
        for _ in range(5):
            refused(on.complete(challenge, on.wrong_code), 401, "two_factor_invalid")
        wrong = on.complete(challenge, on.wrong_code)
        assert answer(on.complete(challenge, on.fresh_code)) == answer(wrong)
        assert answer(on.complete(challenge, on.backup_codes[0])) == answer(wrong)
        refused(on.person.login(), 401, "credentials_invalid")
        refused(on.disable(), 422, "current_password_wrong")
        assert on.state()["enabled"]
        assert len(events_of(runtime, org, "account.locked")) == 1
        age_attempts(runtime, on.person, timedelta(seconds=settings.lockout_seconds + 1))
        tokens_of(on.complete(on.challenge(), on.backup_codes[0]))

    def test_passwords_and_codes_share_one_counter(self, on: Authenticator) -> None:
        challenge = on.challenge()
        for _ in range(16):
            on.person.login(password=WRONG)
        on.complete(challenge, on.wrong_code)
        refused(on.complete(challenge, on.fresh_code), 401, "two_factor_invalid")
