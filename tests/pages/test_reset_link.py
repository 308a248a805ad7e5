"""The form behind a link that sets a new password, in a real browser."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bugtracker.jobs.worker import WorkerThread
from bugtracker.settings import Settings
from tests.registering import tokens_of
from tests.serving import Server
from tests.world import World

from .serving import RESET, Served
from .test_links_browser import contrast, result
from .test_with_the_api import mailed_link
from .watching import Watch

TOKEN = "Zk3mT9bW2xQ7rL5vN8cY1dF6gH4jK0pS"
NEW = "Spring-Tide-1844"
WEAK = {"title": "The password is too weak", "detail": "Longer.", "code": "password_too_weak"}
GONE = {"title": "The link is not valid any more", "detail": "Ask for another mail."}
BUTTON = "Set the password"


def open_form(page: Page, served: Served, answer: tuple[int, Any] = (200, RESET)) -> Locator:
    """Opens a reset link; returns the form's button."""
    served.inner.answer = answer
    page.goto(f"{served.url}/links/#action=reset-password&token={TOKEN}")
    return page.get_by_role("button", name=BUTTON)


def fill(page: Page, first: str = NEW, second: str = NEW) -> None:
    page.get_by_label("New password", exact=True).fill(first)
    page.get_by_label("The new password again").fill(second)


def is_valid(page: Page) -> bool:
    return bool(page.evaluate("document.getElementById('form').checkValidity()"))


class TestResetLink:
    def test_asks_for_the_password_and_says_the_policy(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        expect(open_form(page, served)).to_be_visible()
        expect(page.get_by_role("heading")).to_have_text("Set a new password")
        field = page.get_by_label("New password", exact=True)
        expect(field).to_have_attribute("type", "password")
        expect(field).to_have_accessible_description(re.compile("15 characters or more"))
        assert served.inner.posted == []
        assert watch.said == []
        assert page.url == f"{served.url}/links/"

    def test_posts_token_and_password_once(self, page: Page, served: Served, watch: Watch) -> None:
        button = open_form(page, served)
        fill(page)
        button.dblclick()
        expect(result(page)).to_contain_text("The password is set.")
        expect(result(page)).to_contain_text("Log in as ada or ada@example.com")
        expect(button).to_be_hidden()
        expect(page.get_by_label("New password", exact=True)).to_be_hidden()
        assert served.inner.posted == [{"token": TOKEN, "new_password": NEW}]
        assert page.evaluate("document.getElementById('password').value") == ""
        assert page.url == f"{served.url}/links/"
        assert watch.said == []

    def test_works_by_keyboard(self, page: Page, served: Served) -> None:
        open_form(page, served)
        fill(page)
        page.keyboard.press("Enter")
        expect(result(page)).to_contain_text("The password is set.")
        expect(result(page)).to_be_focused()

    @pytest.mark.parametrize(
        ("first", "second"), [("", ""), (NEW, ""), (NEW, f"{NEW}!"), ("Ab1!", "Ab1!")]
    )
    def test_what_cannot_be_right_is_not_posted(
        self, page: Page, served: Served, first: str, second: str
    ) -> None:
        button = open_form(page, served)
        for box, typed in (("New password", first), ("The new password again", second)):
            page.get_by_label(box, exact=True).press_sequentially(typed)
        button.click()
        assert not is_valid(page)
        fill(page)
        assert is_valid(page)
        assert served.inner.posted == []

    def test_correcting_the_first_makes_two_different_ones_right(
        self, page: Page, served: Served
    ) -> None:
        open_form(page, served)
        fill(page, f"{NEW}!", NEW)
        assert not is_valid(page)
        page.get_by_label("New password", exact=True).fill(NEW)
        assert is_valid(page)

    def test_a_weak_password_can_be_tried_again(self, page: Page, served: Served) -> None:
        button = open_form(page, served, (422, WEAK))
        fill(page)
        button.click()
        expect(result(page)).to_contain_text("The password is too weak")
        served.inner.answer = (200, RESET)
        fill(page, "Neap-Tide-1845", "Neap-Tide-1845")
        button.click()
        expect(result(page)).to_contain_text("The password is set.")
        sent = [body["new_password"] for body in served.inner.posted]
        assert sent == [NEW, "Neap-Tide-1845"]

    def test_a_used_link_ends_it(self, page: Page, served: Served) -> None:
        button = open_form(page, served, (422, GONE))
        fill(page)
        button.click()
        expect(result(page)).to_contain_text("The link is not valid any more")
        expect(button).to_be_hidden()

    def test_a_verification_link_asks_for_no_password(self, page: Page, served: Served) -> None:
        page.goto(f"{served.url}/links/#action=verify-email&token={TOKEN}")
        expect(page.get_by_role("button", name="Confirm the address")).to_be_visible()
        expect(page.get_by_label("New password", exact=True)).to_be_hidden()


class TestAppearance:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_has_enough_contrast_and_fits_a_small_screen(
        self, browser: Browser, served: Served, scheme: Any
    ) -> None:
        context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 480})
        page = context.new_page()
        expect(open_form(page, served)).to_be_visible()
        for selector in ("label", "input[type=password]", "#policy", "button"):
            assert contrast(page, selector) >= 4.5, selector
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        context.close()


class TestMailedLink:
    def test_sets_the_password(
        self, page: Page, world: World, server: Server, settings: Settings, worker: WorkerThread
    ) -> None:
        _, username = world.create_account()
        email = f"{username}@example.com"
        with world.client() as http:
            http.post("/api/auth/password/forgot", json={"email": email})
            page.goto(mailed_link(settings, email).replace(settings.base_url, server.url))
            fill(page)
            page.get_by_role("button", name=BUTTON).click()
            expect(result(page)).to_contain_text(f"Log in as {username}")
            tokens_of(http.post("/api/auth/login", json={"email": email, "password": NEW}))
