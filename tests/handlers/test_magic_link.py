"""Logging in by a mailed link."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, OneTimeToken
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import change_account, change_token, employee, events_of
from tests.magic_links import ask, complete, follow, linked, mailed, sessions_of
from tests.registering import Newcomer, answer, get_me, newcomer, tokens_of
from tests.world import Org, World, refused

NEW = "Another-Tide-1844"
WRONG = "Wrong-Words-12"
SUBJECT = "Your link to log in"


@pytest.fixture
def person(
    world: World, org: Org, anonymous: httpx.Client, settings: Settings, worker: WorkerThread
) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


class TestRequestMagicLink:
    def test_mails_a_link_to_the_address_in_any_case(self, person: Newcomer) -> None:
        assert ask(person, email=person.email.upper()).status_code == 202
        mail = person.mail()
        assert mail["Subject"] == SUBJECT
        assert mail["To"] == person.email
        assert follow(person, mailed(person)).status_code == 200

    def test_the_host_header_gets_into_no_link(self, person: Newcomer, settings: Settings) -> None:
        body, host = {"email": person.email}, {"Host": "evil.example"}
        asked = person.http.post("/api/auth/magic-link", json=body, headers=host)
        assert asked.status_code == 202
        mail = str(person.mail())
        assert f"{settings.public_url}/links/#action=magic-link" in mail
        assert "evil.example" not in mail

    def test_answers_the_same_for_everybody(
        self, runtime: Runtime, person: Newcomer, world: World, org: Org, settings: Settings
    ) -> None:
        disabled = employee(world, org, person.http, settings)
        change_account(runtime, disabled, is_active=False)
        unverified = newcomer(person.http, settings).registered()
        unknown = newcomer(person.http, settings)
        everybody = (person, disabled, unverified, unknown)
        answers = [answer(ask(who)) for who in everybody * 2]
        assert answers[0][0] == 202
        assert all(other == answers[0] for other in answers)

    def test_only_a_verified_and_active_account_gets_a_mail(
        self, runtime: Runtime, person: Newcomer, world: World, org: Org, settings: Settings
    ) -> None:
        disabled = employee(world, org, person.http, settings)
        change_account(runtime, disabled, is_active=False)
        unverified = newcomer(person.http, settings).registered()
        unverified.mail()
        unknown = newcomer(person.http, settings)
        for who in (disabled, unverified, unknown):
            ask(who)
        # The jobs are done in their order, one after the other: the last mail is the last job's.
        linked(person)
        assert disabled._mails() == unknown._mails() == []
        assert [mail["Subject"] for mail in unverified._mails()] == ["Confirm your e-mail address"]

    def test_stores_only_a_hash_of_what_it_mails(self, runtime: Runtime, person: Newcomer) -> None:
        token = linked(person)
        with runtime.db.read() as connection:
            rows = connection.exec_driver_sql("SELECT t::text FROM one_time_tokens t").scalars()
            stored = "\n".join(rows)
        assert "magic_link" in stored
        assert token not in stored

    def test_the_link_lives_ten_minutes(self, runtime: Runtime, person: Newcomer) -> None:
        linked(person)
        account_id = select(Account.id).where(Account.email == person.email).scalar_subquery()
        with runtime.db.transaction() as session:
            token = session.scalars(
                select(OneTimeToken).where(OneTimeToken.account_id == account_id)
            ).one()
            assert token.expires_at - token.created_at == timedelta(minutes=10)


class TestLoginByMagicLink:
    def test_gives_a_session(self, runtime: Runtime, org: Org, person: Newcomer) -> None:
        pair = tokens_of(follow(person, linked(person)))
        me = get_me(person.http, pair["access_token"]).json()
        assert (me["username"], me["org_id"]) == (person.username, str(org.id))
        assert (me["login_count"], me["last_login"] is None) == (1, False)
        assert sessions_of(runtime, person) == 1

    def test_is_recorded_with_the_way_in(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        pair = tokens_of(follow(person, linked(person)))
        (event,) = events_of(runtime, org, "login.succeeded")
        me = get_me(person.http, pair["access_token"]).json()
        assert event.actor_id == event.account_id == UUID(me["id"])
        assert (event.resource_type, event.changes["by"]) == ("session", [None, "magic_link"])

    def test_works_once(self, runtime: Runtime, org: Org, person: Newcomer) -> None:
        token = linked(person)
        assert follow(person, token).status_code == 200
        used = answer(follow(person, token))
        assert used == answer(follow(person, "x" * 43))
        assert (used[0], used[1]["code"]) == (422, "magic_link_invalid")
        assert used[1]["errors"][0]["pointer"] == "/token"
        assert sessions_of(runtime, person) == 1
        assert len(events_of(runtime, org, "login.succeeded")) == 1

    def test_an_expired_link_is_refused(self, runtime: Runtime, person: Newcomer) -> None:
        token = linked(person)
        change_token(runtime, token, expires_at=utc_now() - timedelta(seconds=1))
        refused(follow(person, token), 422, "magic_link_invalid")
        assert sessions_of(runtime, person) == 0

    def test_a_newer_mail_makes_older_links_worthless(self, person: Newcomer) -> None:
        first = linked(person)
        ask(person)
        second = mailed(person, 2)
        refused(follow(person, first), 422, "magic_link_invalid")
        assert follow(person, second).status_code == 200

    def test_a_mail_with_a_link_of_another_kind_leaves_it(self, person: Newcomer) -> None:
        token = linked(person)
        person.http.post("/api/auth/password/forgot", json={"email": person.email})
        person.mail(2)
        assert follow(person, token).status_code == 200

    def test_a_changed_password_makes_it_worthless(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        token = linked(person)
        pair = tokens_of(person.login())
        body = {"current_password": person.password, "new_password": NEW}
        headers = {"Authorization": f"Bearer {pair['access_token']}"}
        changed = person.http.post("/api/auth/password", json=body, headers=headers)
        assert changed.status_code == 204
        refused(follow(person, token), 422, "magic_link_invalid")
        assert sessions_of(runtime, person) == 1

    def test_so_does_one_set_anew(self, runtime: Runtime, person: Newcomer) -> None:
        token = linked(person)
        person.http.post("/api/auth/password/forgot", json={"email": person.email})
        body = {"token": mailed(person, 2, "reset-password"), "new_password": NEW}
        assert person.http.post("/api/auth/password/reset", json=body).status_code == 200
        refused(follow(person, token), 422, "magic_link_invalid")
        assert sessions_of(runtime, person) == 0

    @pytest.mark.parametrize("different", [{"is_active": False}, {"verified_at": None}])
    def test_an_account_that_may_not_log_in_any_more_is_refused_alike(
        self, runtime: Runtime, person: Newcomer, different: dict[str, object]
    ) -> None:
        token = linked(person)
        change_account(runtime, person, **different)
        assert answer(follow(person, token)) == answer(follow(person, "x" * 43))
        assert sessions_of(runtime, person) == 0

    def test_works_during_a_lockout_and_does_not_end_it(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        token = linked(person)
        for _ in range(runtime.settings.lockout_attempts):
            assert person.login(password=WRONG).status_code == 401
        assert person.login().status_code == 401
        pair = tokens_of(follow(person, token))
        assert get_me(person.http, pair["access_token"]).status_code == 200
        assert person.login().status_code == 401

    def test_does_not_reset_the_count_of_wrong_passwords(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        token = linked(person)
        for _ in range(runtime.settings.lockout_attempts - 1):
            person.login(password=WRONG)
        assert follow(person, token).status_code == 200
        person.login(password=WRONG)
        assert person.login().status_code == 401

    @pytest.mark.parametrize("purpose", ["verify_email", "reset_password", "two_factor_challenge"])
    def test_a_token_for_another_purpose_logs_nobody_in(
        self, runtime: Runtime, person: Newcomer, purpose: str
    ) -> None:
        token = linked(person)
        change_token(runtime, token, purpose=purpose)
        refused(follow(person, token), 422, "magic_link_invalid")
        change_token(runtime, token, purpose="magic_link")
        assert follow(person, token).status_code == 200

    def test_is_good_for_nothing_else(self, person: Newcomer) -> None:
        token = linked(person)
        assert person.verify(token).status_code == 422
        body = {"token": token, "new_password": NEW}
        reset = person.http.post("/api/auth/password/reset", json=body)
        refused(reset, 422, "reset_token_invalid")
        refused(complete(person, token, "492039"), 401, "two_factor_invalid")
        assert follow(person, token).status_code == 200


class TestOrganisation:
    def test_goes_to_the_chosen_one(self, world: World, person: Newcomer) -> None:
        other = world.create_org()
        world.join(UUID(person.me()["id"]), other.id, "auditor")
        pair = tokens_of(follow(person, linked(person), org_id=str(other.id)))
        me = get_me(person.http, pair["access_token"]).json()
        assert (me["org_id"], me["role"]) == (str(other.id), "auditor")

    def test_one_of_others_is_refused_like_a_missing_one_and_leaves_the_link_good(
        self, runtime: Runtime, world: World, person: Newcomer
    ) -> None:
        token, foreign = linked(person), world.create_org().id
        answers = [answer(follow(person, token, org_id=str(id_))) for id_ in (foreign, uuid4())]
        assert answers[0] == answers[1]
        assert (answers[0][0], answers[0][1]["code"]) == (403, "permission_denied")
        assert sessions_of(runtime, person) == 0
        assert follow(person, token).status_code == 200

    def test_works_without_any(
        self, world: World, anonymous: httpx.Client, settings: Settings, worker: WorkerThread
    ) -> None:
        _, username = world.create_account()
        email = f"{username}@example.com"
        loner = newcomer(anonymous, settings, email=email, username=username)
        pair = tokens_of(follow(loner, linked(loner)))
        assert get_me(anonymous, pair["access_token"]).json()["org_id"] is None


class TestSecondFactor:
    """The link stands for the password, never for the code."""

    @pytest.fixture
    def app(self, runtime: Runtime, person: Newcomer) -> Authenticator:
        """The person's second factor, in force."""
        return Authenticator(runtime, person).switched_on()

    def test_gets_a_challenge_and_no_session(
        self, runtime: Runtime, org: Org, person: Newcomer, app: Authenticator
    ) -> None:
        before = sessions_of(runtime, person)
        response = follow(person, self._token(person))
        assert response.status_code == 202
        assert set(response.json()) == {"challenge", "expires_in"}
        assert sessions_of(runtime, person) == before
        assert len(events_of(runtime, org, "login.succeeded")) == before

    def test_a_code_completes_it_in_the_organisation_first_asked_for(
        self, world: World, person: Newcomer, app: Authenticator
    ) -> None:
        token, other = self._token(person), world.create_org()
        with world.runtime.db.transaction() as session:
            wanted = select(Account.id).where(Account.email == person.email)
            account_id = session.scalars(wanted).one()
        world.join(account_id, other.id, "auditor")
        challenge = follow(person, token, org_id=str(other.id)).json()["challenge"]
        pair = tokens_of(app.complete(challenge, app.fresh_code))
        me = get_me(person.http, pair["access_token"]).json()
        assert (me["username"], me["org_id"]) == (person.username, str(other.id))

    def test_a_wrong_code_leaves_challenge_and_no_session(
        self, runtime: Runtime, person: Newcomer, app: Authenticator
    ) -> None:
        before = sessions_of(runtime, person)
        challenge = follow(person, self._token(person)).json()["challenge"]
        refused(app.complete(challenge, app.wrong_code), 401, "two_factor_invalid")
        assert sessions_of(runtime, person) == before
        assert app.complete(challenge, app.backup_codes[0]).status_code == 200
        assert sessions_of(runtime, person) == before + 1

    def test_a_lockout_holds_for_the_code(
        self, runtime: Runtime, person: Newcomer, app: Authenticator
    ) -> None:
        token = self._token(person)
        for _ in range(runtime.settings.lockout_attempts):
            assert person.login(password=WRONG).status_code == 401
        challenge = follow(person, token).json()["challenge"]
        refused(app.complete(challenge, app.fresh_code), 401, "two_factor_invalid")

    @staticmethod
    def _token(person: Newcomer) -> str:
        """The token of a link that came after the mail about the second factor."""
        person.mail()
        return linked(person, 2)
