"""The mails that follow what happens to the second factor."""

import httpx
import pytest

from bugtracker.jobs.worker import WorkerThread
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import employee
from tests.registering import Newcomer, text_of, tokens_of
from tests.world import Org, World


@pytest.fixture
def person(
    world: World, org: Org, anonymous: httpx.Client, settings: Settings, worker: WorkerThread
) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def app(world: World, person: Newcomer) -> Authenticator:
    """Their second factor, in force."""
    return Authenticator(world.runtime, person).switched_on()


class TestMails:
    def test_switching_it_on_is_told(self, app: Authenticator) -> None:
        mail = app.person.mail()
        assert mail["Subject"] == "Two-factor authentication was switched on"
        for secret in (app.secret, *app.backup_codes):
            assert secret not in str(mail)

    def test_a_used_backup_code_is_told_with_how_many_are_left(self, app: Authenticator) -> None:
        tokens_of(app.complete(app.challenge(), app.backup_codes[3]))
        mail = app.person.mail(2)
        assert mail["Subject"] == "A backup code of your account was used"
        assert "Codes left: 9." in text_of(mail)
        assert app.backup_codes[3] not in str(mail)

    def test_a_code_of_the_app_is_not_told(self, app: Authenticator) -> None:
        tokens_of(app.complete(app.challenge(), app.fresh_code))
        tokens_of(app.complete(app.challenge(), app.backup_codes[0]))
        # The jobs are done in their order.
        assert app.person.mail(2)["Subject"] == "A backup code of your account was used"

    def test_new_backup_codes_are_told(self, app: Authenticator) -> None:
        response = app.regenerate(code=app.backup_codes[0])
        assert response.status_code == 200
        subjects = {str(app.person.mail(number)["Subject"]) for number in (2, 3)}
        assert "Your account has new backup codes" in subjects
        mails = "".join(str(app.person.mail(number)) for number in (2, 3))
        assert not any(code in mails for code in response.json()["backup_codes"])

    def test_switching_it_off_is_told(self, app: Authenticator) -> None:
        assert app.disable(code=app.backup_codes[0]).status_code == 204
        subjects = {str(app.person.mail(number)["Subject"]) for number in (2, 3)}
        assert "Two-factor authentication was switched off" in subjects
