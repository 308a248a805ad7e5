"""The language of the mails that requests cause."""

import re

import httpx
import pytest

from bugtracker.jobs.worker import WorkerThread
from bugtracker.settings import Settings
from tests.behind import change_account, employee
from tests.erasure.people import mails_to
from tests.inviting import URL, token_for
from tests.jobs.running import eventually
from tests.registering import Newcomer, newcomer, text_of
from tests.world import PASSWORD, Caller, Org, World, made


def forgot(person: Newcomer, asked: str | None) -> None:
    headers = {} if asked is None else {"Accept-Language": asked}
    body = {"email": person.email}
    person.http.post("/api/auth/password/forgot", json=body, headers=headers)


class TestPasswordReset:
    @pytest.mark.parametrize(
        ("setting", "asked", "subject"),
        [(None, "de-AT, en;q=0.5", "Neues Passwort setzen"), ("de", "hi", "Neues Passwort setzen"),
         ("hi", None, "नया पासवर्ड बनाएँ"), (None, "fr", "Set a new password")],
    )  # fmt: skip
    def test_is_in_the_persons_own_language_else_in_that_of_the_request(
        self,
        world: World,
        org: Org,
        anonymous: httpx.Client,
        settings: Settings,
        worker: WorkerThread,
        setting: str | None,
        asked: str | None,
        subject: str,
    ) -> None:
        person = employee(world, org, anonymous, settings)
        change_account(world.runtime, person, language=setting)
        forgot(person, asked)
        assert person.mail()["Subject"] == subject
        found = re.search(r"#action=reset-password&token=(\S+)", text_of(person.mail()))
        assert found is not None
        body = {"token": found[1], "new_password": "Another-Tide-1844"}
        assert anonymous.post("/api/auth/password/reset", json=body).status_code == 200


class TestInvitation:
    def test_is_in_the_language_of_the_guest_else_of_the_sender(
        self, world: World, org: Org, anonymous: httpx.Client, worker: WorkerThread
    ) -> None:
        stranger = newcomer(anonymous, world.runtime.settings)
        known = newcomer(anonymous, world.runtime.settings, email=world.create_loner().email)
        for person in (stranger, known):
            # Nobody has the stranger's address.
            change_account(world.runtime, person, language="hi")
            body = {"email": person.email, "role": "member"}
            org.manager.post(URL, body, headers={"Accept-Language": "de"})
        assert stranger.mail()["Subject"] == "Sie sind in eine Organisation eingeladen"
        assert known.mail()["Subject"] == "आपको एक संगठन में शामिल होने का निमंत्रण है"
        assert token_for(known)


class TestLaterMails:
    """The language of the request goes with the work, and the mail comes at its end."""

    @pytest.mark.parametrize("setting", [None, "hi"])
    def test_are_in_the_readers_own_language_else_in_that_of_the_request(
        self, world: World, org: Org, worker: WorkerThread, setting: str | None
    ) -> None:
        person, closing = org.member, org.developer
        for each in (person, closing):
            each.patch("/api/auth/me", {"language": setting})
        german = {"Accept-Language": "de"}
        person.post("/api/users/me/export", headers=german)
        eventually(lambda: len(subjects(world, person)) == 1)
        for verdict in ("refuse", "approve"):
            asked = made(person.post("/api/users/me/deletion-requests"))
            path = f"/api/deletion-requests/{asked['id']}/{verdict}"
            org.admin.post(path, {"reason": "We have checked who asked"}, headers=german)
        eventually(lambda: len(subjects(world, person)) == 3)
        closing.post("/api/auth/me/deletion", {"password": PASSWORD}, headers=german)
        eventually(lambda: len(subjects(world, closing)) == 1)
        name = org.admin.get(f"/api/organisations/{org.id}").json()["name"]
        told = {each.format(name=name) for each in SUBJECTS[setting or "de"]}
        assert subjects(world, person) | subjects(world, closing) == told


SUBJECTS = {
    "de": {
        "Die angeforderten Daten liegen bereit",
        "Sie werden nicht aus {name} gelöscht",
        "Sie werden aus {name} gelöscht",
        "Ihr Konto wurde gelöscht",
    },
    "hi": {
        "आपका माँगा हुआ डेटा तैयार है",
        "आपको {name} से नहीं हटाया जाएगा",
        "आपको {name} से हटाया जा रहा है",
        "आपका खाता हटा दिया गया है",
    },
}


def subjects(world: World, person: Caller) -> set[str]:
    return {str(mail["Subject"]) for mail in mails_to(world.runtime, person)}
