"""Two-factor authentication of one's own account."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pyotp
import pytest
from sqlalchemy import Update, select, update

from bugtracker.clock import utc_now
from bugtracker.models import Account, Event, Session, TwoFactor
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import change_account, employee, events_of
from tests.blocking import Blocker
from tests.registering import Newcomer, get_me, refresh, tokens_of
from tests.world import Org, World, refused

WRONG = "Wrong-Words-12"


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def app(runtime: Runtime, person: Newcomer) -> Authenticator:
    """Their authenticator, not enrolled yet."""
    return Authenticator(runtime, person)


@pytest.fixture
def on(app: Authenticator) -> Authenticator:
    """Their authenticator, in force."""
    return app.switched_on()


def stored(app: Authenticator) -> TwoFactor | None:
    with app.runtime.db.transaction() as session:
        own = select(TwoFactor).join(Account, Account.id == TwoFactor.account_id)
        return session.scalar(own.where(Account.email == app.person.email))


def only(events: list[Event]) -> Event:
    (event,) = events
    return event


class TestGet:
    def test_says_how_it_stands(self, app: Authenticator) -> None:
        off = {"enabled": False, "enabled_at": None, "backup_codes_left": 0}
        assert app.state() == off
        app.enrol()
        assert app.state() == off
        app.confirm()
        state = app.state()
        assert (state["enabled"], state["backup_codes_left"]) == (True, 10)
        assert state["enabled_at"].endswith("Z")

    def test_counts_the_backup_codes_that_are_left(self, on: Authenticator) -> None:
        tokens_of(on.complete(on.challenge(), on.backup_codes[3]))
        assert on.state()["backup_codes_left"] == 9


class TestEnrol:
    def test_gives_a_seed_as_text_uri_and_picture(self, app: Authenticator) -> None:
        response = app.enrol()
        assert response.headers["Cache-Control"] == "no-store"
        body = response.json()
        parsed = pyotp.parse_uri(body["provisioning_uri"])
        assert parsed.secret == body["secret"]
        assert parsed.name == app.person.email
        assert body["qr_code"].startswith("data:image/svg+xml")
        assert body["expires_in"] == 900

    def test_changes_no_login_before_it_is_confirmed(self, app: Authenticator) -> None:
        app.enrol()
        assert app.person.login().status_code == 200

    def test_needs_the_password(self, app: Authenticator) -> None:
        problem = refused(app.enrol(WRONG), 422, "current_password_wrong")
        assert problem["errors"][0]["pointer"] == "/password"
        assert stored(app) is None
        assert app.attempts == 1

    def test_again_replaces_the_seed(self, app: Authenticator) -> None:
        app.enrol()
        earlier = app.code
        app.enrol()
        refused(app.confirm(earlier), 422, "two_factor_code_wrong")
        assert app.confirm().status_code == 200

    def test_not_while_one_is_in_force(self, on: Authenticator) -> None:
        secret = on.secret
        refused(on.enrol(), 409, "two_factor_enabled")
        assert on.secret == secret
        assert on.state()["enabled"]

    def test_the_seed_is_encrypted_and_bound_to_its_account(self, app: Authenticator) -> None:
        app.enrol()
        row, keyring = stored(app), app.runtime.keyring
        assert row is not None
        seed = keyring.decrypt(row.seed_encrypted, f"two_factor.seed/{row.account_id}")
        assert len(seed) == 20
        assert seed not in row.seed_encrypted
        with pytest.raises(ValueError, match="decrypt"):
            keyring.decrypt(row.seed_encrypted, f"two_factor.seed/{row.session_id}")


class TestConfirm:
    def test_puts_it_in_force_and_gives_ten_codes(
        self, runtime: Runtime, org: Org, app: Authenticator
    ) -> None:
        app.enrol()
        response = app.confirm()
        assert response.headers["Cache-Control"] == "no-store"
        assert len(set(app.backup_codes)) == 10
        assert app.person.login().status_code == 202
        assert only(events_of(runtime, org, "two_factor.enabled")).changes == {
            "sessions_ended": [None, 0]
        }

    def test_ends_the_other_sessions(self, app: Authenticator) -> None:
        other = tokens_of(app.person.login())
        app.switched_on()
        refused(get_me(app.http, other["access_token"]), 401, "token_invalid")
        assert refresh(app.http, other["refresh_token"]).status_code == 401
        assert app.state()["enabled"]

    def test_its_code_does_not_log_in(self, app: Authenticator) -> None:
        app.enrol()
        code = app.code
        app.confirm(code)
        refused(app.complete(app.challenge(), code), 401, "two_factor_invalid")

    def test_a_wrong_code_confirms_nothing_and_counts(
        self, runtime: Runtime, org: Org, app: Authenticator
    ) -> None:
        app.enrol()
        problem = refused(app.confirm(app.wrong_code), 422, "two_factor_code_wrong")
        assert problem["errors"][0]["pointer"] == "/code"
        assert app.person.login().status_code == 200
        app.enrol()
        app.confirm(app.wrong_code)
        assert app.attempts == 4
        assert len(events_of(runtime, org, "two_factor.check_failed")) == 2

    def test_nothing_was_enrolled(self, app: Authenticator) -> None:
        refused(app.confirm("000000"), 409, "two_factor_not_enrolled")
        assert app.attempts == 0

    def test_twice(self, on: Authenticator) -> None:
        refused(on.confirm(on.fresh_code), 409, "two_factor_not_enrolled")

    def test_not_in_another_session(self, app: Authenticator) -> None:
        """Whoever stole another session has not shown the password there."""
        app.enrol()
        app.access = tokens_of(app.person.login())["access_token"]
        refused(app.confirm(), 409, "two_factor_not_enrolled")

    def test_not_too_late(self, app: Authenticator, settings: Settings) -> None:
        app.enrol()
        past = timedelta(seconds=settings.two_factor_enrolment_seconds + 1)
        with app.runtime.db.transaction() as session:
            session.execute(update(TwoFactor).values(created_at=utc_now() - past))
        refused(app.confirm(), 409, "two_factor_not_enrolled")


class TestDisable:
    def test_with_password_and_code(self, runtime: Runtime, org: Org, on: Authenticator) -> None:
        assert on.disable().status_code == 204
        assert on.state() == {"enabled": False, "enabled_at": None, "backup_codes_left": 0}
        tokens_of(on.person.login())
        assert len(events_of(runtime, org, "two_factor.disabled")) == 1

    def test_with_a_backup_code(self, on: Authenticator) -> None:
        assert on.disable(code=on.backup_codes[9]).status_code == 204

    def test_ends_the_other_sessions_and_open_challenges(self, on: Authenticator) -> None:
        other = tokens_of(on.complete(on.challenge(), on.fresh_code))
        challenge = on.challenge()
        assert on.disable().status_code == 204
        refused(get_me(on.http, other["access_token"]), 401, "token_invalid")
        refused(on.complete(challenge, on.backup_codes[0]), 401, "two_factor_invalid")

    def test_needs_the_password(self, on: Authenticator) -> None:
        refused(on.disable(password=WRONG), 422, "current_password_wrong")
        assert on.state()["enabled"]

    def test_a_wrong_password_does_not_use_the_code_up(self, on: Authenticator) -> None:
        refused(on.disable(password=WRONG, code=on.backup_codes[0]), 422, "current_password_wrong")
        assert on.disable(code=on.backup_codes[0]).status_code == 204

    def test_needs_a_code(self, on: Authenticator) -> None:
        refused(on.disable(code=on.wrong_code), 422, "two_factor_code_wrong")
        refused(on.disable(code="abcd-efgh-ijkl-mnop"), 422, "two_factor_code_wrong")
        assert on.state()["enabled"]
        assert on.attempts == 8

    def test_nothing_to_disable(self, app: Authenticator) -> None:
        proof = {"password": app.person.password, "code": "000000"}
        refused(app.call("POST", "/disable", proof), 409, "two_factor_not_enabled")

    def test_an_enrolment_that_waits_is_nothing_to_disable(self, app: Authenticator) -> None:
        app.enrol()
        refused(app.disable(), 409, "two_factor_not_enabled")

    def test_afterwards_another_can_be_enrolled(self, on: Authenticator) -> None:
        earlier, secret = on.backup_codes, on.secret
        on.disable()
        on.switched_on()
        assert on.secret != secret
        assert set(earlier).isdisjoint(on.backup_codes)
        refused(on.complete(on.challenge(), earlier[0]), 401, "two_factor_invalid")


class TestRegenerateBackupCodes:
    def test_the_old_ones_are_worthless(
        self, runtime: Runtime, org: Org, on: Authenticator
    ) -> None:
        earlier, response = on.backup_codes, on.regenerate()
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "no-store"
        codes = response.json()["backup_codes"]
        assert set(earlier).isdisjoint(codes)
        refused(on.complete(on.challenge(), earlier[0]), 401, "two_factor_invalid")
        tokens_of(on.complete(on.challenge(), codes[0]))
        assert len(events_of(runtime, org, "two_factor.backup_codes_regenerated")) == 1

    def test_needs_password_and_code(self, on: Authenticator) -> None:
        refused(on.regenerate(password=WRONG), 422, "current_password_wrong")
        refused(on.regenerate(code=on.wrong_code), 422, "two_factor_code_wrong")
        tokens_of(on.complete(on.challenge(), on.backup_codes[0]))

    def test_without_a_second_factor(self, app: Authenticator) -> None:
        proof = {"password": app.person.password, "code": "000000"}
        refused(app.call("POST", "/backup-codes", proof), 409, "two_factor_not_enabled")


class TestMeanwhile:
    """What somebody else commits while a request waits for them counts."""

    def test_is_not_confirmed_once_the_enrolment_account_or_session_is_gone(
        self, app: Authenticator
    ) -> None:
        app.enrol()
        account, now = select(Account.id).where(Account.email == app.person.email), utc_now()
        own = account.scalar_subquery()
        again = update(TwoFactor).where(TwoFactor.account_id == own).values(created_at=now)
        refused(self._after(app, again, app.confirm), 409, "two_factor_not_enrolled")
        disabled = update(Account).where(Account.id == own).values(is_active=False)
        refused(self._after(app, disabled, app.confirm), 401, "token_invalid")
        change_account(app.runtime, app.person, is_active=True)
        ended = update(Session).where(Session.account_id == own).values(revoked_at=now)
        refused(self._after(app, ended, app.confirm), 401, "token_invalid")
        row = stored(app)
        assert row is not None
        assert row.confirmed_at is None

    def test_is_not_enrolled_anew_once_confirmed(self, app: Authenticator) -> None:
        app.enrol()
        account = select(Account.id).where(Account.email == app.person.email)
        own = update(TwoFactor).where(TwoFactor.account_id == account.scalar_subquery())
        confirmed, secret = own.values(confirmed_at=utc_now()), app.secret
        refused(self._after(app, confirmed, app.enrol), 409, "two_factor_enabled")
        assert app.secret == secret

    def _after(
        self, app: Authenticator, change: Update, request: Callable[[], httpx.Response]
    ) -> httpx.Response:
        """The answer to a request that waits until this change is committed."""
        with Blocker(app.runtime) as blocker:
            blocker.session.execute(change)
            waiting = blocker.start(request)
        return waiting.result()


class TestOthers:
    def test_keep_theirs_whatever_one_does(
        self, world: World, org: Org, anonymous: httpx.Client, app: Authenticator
    ) -> None:
        settings = app.runtime.settings
        other = Authenticator(app.runtime, employee(world, org, anonymous, settings))
        for each in (app, other):
            each.enrol()
        with app.runtime.db.transaction() as session:
            session.execute(update(TwoFactor).values(created_at=utc_now()))
        assert app.confirm().status_code == 200
        assert other.state()["enabled"] is False
        assert other.confirm().status_code == 200
        assert app.regenerate().status_code == 200
        assert app.disable().status_code == 204
        assert (other.state()["enabled"], other.state()["backup_codes_left"]) == (True, 10)
