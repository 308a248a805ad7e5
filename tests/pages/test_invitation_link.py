"""The page behind the link of an invitation, in a real browser."""

import pytest
from playwright.sync_api import Locator, Page, expect

from bugtracker.jobs.worker import WorkerThread
from bugtracker.settings import Settings
from tests.inviting import invited
from tests.registering import newcomer, text_of, tokens_of
from tests.serving import Server
from tests.world import World

from .serving import JOINED, Served
from .test_links_browser import result
from .watching import Watch

TOKEN = "Zk3mT9bW2xQ7rL5vN8cY1dF6gH4jK0pS"
PASSWORD = "Spring-Tide-1844"
ACCOUNT = {
    "title": "Choose a username and a password",
    "detail": "The address has no account yet.",
    "code": "account_required",
}
TAKEN = {"title": "The username is taken", "detail": "Another one.", "code": "username_taken"}
GONE = {"title": "The invitation is not valid any more", "detail": "Ask for another invitation."}


def open_link(page: Page, served: Served) -> Locator:
    """Opens the link; returns its button."""
    page.goto(f"{served.url}/links/#action=accept-invitation&token={TOKEN}")
    return page.get_by_role("button", name="Accept the invitation")


def fill(page: Page, username: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("The new password again").fill(PASSWORD)


class TestInvitationLink:
    def test_with_an_account_a_press_is_enough(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        served.inner.answer = (200, JOINED)
        button = open_link(page, served)
        expect(page.get_by_label("Username")).to_be_hidden()
        assert served.inner.posted == []
        button.dblclick()
        expect(result(page)).to_contain_text("You are in Analytical Engines.")
        expect(result(page)).to_contain_text("your role is developer")
        expect(button).to_be_hidden()
        assert served.inner.posted == [{"token": TOKEN}]
        assert watch.said == []

    def test_without_one_it_asks_for_what_is_missing(self, page: Page, served: Served) -> None:
        served.inner.answer = (422, ACCOUNT)
        button = open_link(page, served)
        button.click()
        expect(result(page)).to_contain_text("The address has no account yet.")
        expect(page.get_by_label("Username")).to_be_focused()
        button.click()
        assert served.inner.posted == [{"token": TOKEN}]
        served.inner.answer = (409, TAKEN)
        fill(page, "ada")
        button.click()
        expect(result(page)).to_contain_text("The username is taken")
        served.inner.answer = (200, JOINED)
        page.get_by_label("Username").fill("ada2")
        page.keyboard.press("Enter")
        expect(result(page)).to_contain_text("You are in Analytical Engines.")
        expected = [
            {"token": TOKEN, "username": name, "password": PASSWORD} for name in ("ada", "ada2")
        ]
        assert served.inner.posted[1:] == expected
        assert page.evaluate("document.getElementById('password').value") == ""

    @pytest.mark.parametrize("username", ["", "-ada", "a da", "ädä"])
    def test_a_username_of_another_form_is_not_posted(
        self, page: Page, served: Served, username: str
    ) -> None:
        served.inner.answer = (422, ACCOUNT)
        button = open_link(page, served)
        button.click()
        fill(page, username)
        button.click()
        assert not page.evaluate("document.getElementById('form').checkValidity()")
        assert served.inner.posted == [{"token": TOKEN}]

    def test_a_used_link_ends_it(self, page: Page, served: Served) -> None:
        served.inner.answer = (422, GONE)
        button = open_link(page, served)
        button.click()
        expect(result(page)).to_contain_text("The invitation is not valid any more")
        expect(button).to_be_hidden()


class TestMailedLink:
    def test_makes_an_account_and_joins(
        self, page: Page, world: World, server: Server, settings: Settings, worker: WorkerThread
    ) -> None:
        org = world.create_org()
        with world.client() as http:
            person = newcomer(http, settings, password=PASSWORD)
            invited(org.owner, person.email)
            (link,) = (line for line in text_of(person.mail()).split("\n") if "#action=" in line)
            page.goto(link.replace(settings.base_url, server.url))
            button = page.get_by_role("button", name="Accept the invitation")
            button.click()
            fill(page, person.username)
            button.click()
            expect(result(page)).to_contain_text(f"You are in {org.slug}.")
            tokens_of(person.login())
