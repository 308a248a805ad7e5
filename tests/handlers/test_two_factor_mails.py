"""The mails that follow what happens to the second factor."""

import httpx
import pytest

from bugtracker.jobs.worker import WorkerThread
from bugtracker.settings import Settings
from tests.authenticators import Authenticator, enrolled
from tests.behind import employee
from tests.magic_links import complete
from tests.registering import Newcomer, text_of, tokens_of
from tests.world import Org, World


@pytest.fixture
def person(
    world: World, org: Org, anonymous: httpx.Client, settings: Settings, worker: WorkerThread
) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


def prove(person: Newcomer, app: Authenticator, access_token: str, path: str) -> httpx.Response:
    """Does what wants password and code; uses the last backup code up."""
    body = {"password": person.password, "code": app.backup_codes.pop()}
    headers = {"Authorization": f"Bearer {access_token}"}
    return person.http.post(f"/api/auth/two-factor/{path}", json=body, headers=headers)


class TestMails:
    def test_switching_it_on_is_told(self, person: Newcomer) -> None:
        app, _ = enrolled(person)
        mail = person.mail()
        assert mail["Subject"] == "Two-factor authentication was switched on"
        for secret in (app.secret, *app.backup_codes):
            assert secret not in str(mail)

    def test_a_used_backup_code_is_told_with_how_many_are_left(self, person: Newcomer) -> None:
        app, _ = enrolled(person)
        challenge = person.login().json()["challenge"]
        tokens_of(complete(person, challenge, app.backup_codes[3]))
        mail = person.mail(2)
        assert mail["Subject"] == "A backup code of your account was used"
        assert "Codes left: 9." in text_of(mail)
        assert app.backup_codes[3] not in str(mail)

    def test_a_code_of_the_app_is_not_told(self, person: Newcomer) -> None:
        app, _ = enrolled(person)
        challenge = person.login().json()["challenge"]
        tokens_of(complete(person, challenge, app.code()))
        challenge = person.login().json()["challenge"]
        tokens_of(complete(person, challenge, app.backup_codes[0]))
        # The jobs are done in their order.
        assert person.mail(2)["Subject"] == "A backup code of your account was used"

    def test_new_backup_codes_are_told(self, person: Newcomer) -> None:
        app, access_token = enrolled(person)
        response = prove(person, app, access_token, "backup-codes")
        assert response.status_code == 200
        subjects = {str(person.mail(number)["Subject"]) for number in (2, 3)}
        assert "Your account has new backup codes" in subjects
        mails = "".join(str(person.mail(number)) for number in (2, 3))
        assert not any(code in mails for code in response.json()["backup_codes"])

    def test_switching_it_off_is_told(self, person: Newcomer) -> None:
        app, access_token = enrolled(person)
        assert prove(person, app, access_token, "disable").status_code == 204
        subjects = {str(person.mail(number)["Subject"]) for number in (2, 3)}
        assert "Two-factor authentication was switched off" in subjects
