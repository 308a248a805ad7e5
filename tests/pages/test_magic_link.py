"""The page behind a link that logs in, in a real browser."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bugtracker.jobs.worker import WorkerThread
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import employee
from tests.registering import Newcomer, get_me
from tests.serving import Server
from tests.world import Org, World

from .serving import Served
from .test_links_browser import HOSTILE, contrast, result
from .test_with_the_api import mailed_link
from .watching import Watch

TOKEN = "Zk3mT9bW2xQ7rL5vN8cY1dF6gH4jK0pS"
LOGIN, SECOND = "/api/auth/magic-link/login", "/api/auth/login/two-factor"
PAIR = {
    "access_token": "eyJhbGciOiJFUzI1NiJ9." + "a" * 500,
    "refresh_token": "the-refresh-token",
    "token_type": "Bearer",
    "expires_in": 900,
}
CHALLENGE = {"challenge": "the-challenge", "expires_in": 300}
GONE = {"title": "The link is not valid any more", "detail": "Ask for another mail."}
WRONG = {"title": "The code is not valid", "detail": "Another.", "code": "two_factor_invalid"}


def open_link(page: Page, served: Served, answer: tuple[int, Any] = (200, PAIR)) -> Locator:
    """Opens a login link; returns the button."""
    served.inner.answers = {LOGIN: answer, SECOND: (200, PAIR)}
    page.goto(f"{served.url}/links/#action=magic-link&token={TOKEN}")
    return page.get_by_role("button", name="Log in")


def asked_for_code(page: Page, served: Served) -> Locator:
    """Follows a link to an account with a second factor; returns the field for the code."""
    open_link(page, served, (202, CHALLENGE)).click()
    field = page.get_by_label("Code")
    expect(field).to_be_visible()
    return field


def access(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Access token")


def stored(page: Page) -> list[int]:
    """How much the page keeps in the browser's three stores."""
    count: list[int] = page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie.length]"
    )
    return count


class TestOneFactor:
    def test_opening_posts_nothing(self, page: Page, served: Served, watch: Watch) -> None:
        expect(open_link(page, served)).to_be_visible()
        expect(page.get_by_role("heading")).to_have_text("Log in")
        page.wait_for_load_state("networkidle")
        assert served.inner.posted == []
        assert page.url == f"{served.url}/links/"
        assert watch.said == []

    def test_offers_the_tokens_and_says_until_when(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        open_link(page, served).dblclick()
        expect(result(page)).to_contain_text("You are logged in.")
        expect(result(page)).to_be_focused()
        for name, token in (("Access", "access_token"), ("Refresh", "refresh_token")):
            field = page.get_by_role("textbox", name=f"{name} token")
            expect(field).to_have_value(str(PAIR[token]))
            expect(field).to_have_attribute("readonly", "")
        expect(access(page)).to_have_accessible_description(re.compile(r"Works until .*\d\d:\d\d"))
        expect(page.get_by_role("button", name="Log in")).to_be_hidden()
        assert served.inner.posted == [{"token": TOKEN}]
        assert watch.said == []

    def test_stores_nothing(self, page: Page, served: Served, watch: Watch) -> None:
        open_link(page, served).click()
        expect(access(page)).to_be_visible()
        assert stored(page) == [0, 0, 0]
        assert page.url == f"{served.url}/links/"
        asked = [url for url in watch.requests if PAIR["refresh_token"] in url]
        assert asked == []

    @pytest.mark.parametrize("name", ["access", "refresh"])
    def test_a_button_copies_each_token(self, browser: Browser, served: Served, name: str) -> None:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = context.new_page()
        open_link(page, served).click()
        page.get_by_role("button", name=f"Copy the {name} token").click()
        expect(page.get_by_role("alert")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == PAIR[f"{name}_token"]
        context.close()

    def test_without_a_clipboard_the_token_is_selected(self, page: Page, served: Served) -> None:
        open_link(page, served).click()
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.get_by_role("button", name="Copy the access token").click()
        expect(page.get_by_role("alert")).to_have_text("It is selected: copy it by keyboard.")
        assert page.evaluate("getSelection().toString()") == PAIR["access_token"]

    def test_leaving_the_page_forgets_them(self, page: Page, served: Served) -> None:
        open_link(page, served).click()
        expect(access(page)).to_be_visible()
        # What a browser says before it keeps the page for the back button. This one may not.
        page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        expect(access(page)).to_be_hidden()
        values = "[...document.querySelectorAll('input')].map((input) => input.value).join('')"
        assert page.evaluate(values) == ""

    def test_a_used_link_ends_it(self, page: Page, served: Served) -> None:
        open_link(page, served, (422, GONE)).click()
        expect(result(page)).to_contain_text("The link is not valid any more")
        expect(page.get_by_role("button")).to_be_hidden()
        expect(access(page)).to_be_hidden()

    def test_markup_in_the_answer_is_text(self, page: Page, served: Served, watch: Watch) -> None:
        pair = {**PAIR, "access_token": HOSTILE, "refresh_token": HOSTILE}
        open_link(page, served, (200, pair)).click()
        expect(access(page)).to_have_value(HOSTILE)
        assert page.locator("img").count() == 0
        assert watch.said == []


class TestTwoFactors:
    def test_asks_for_the_code_and_posts_it_with_the_challenge(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        field = asked_for_code(page, served)
        expect(field).to_have_attribute("autocomplete", "one-time-code")
        expect(field).to_be_focused()
        expect(page.get_by_role("heading")).to_have_text("Enter a code")
        expect(access(page)).to_be_hidden()
        field.fill("492 039")
        page.keyboard.press("Enter")
        expect(result(page)).to_contain_text("You are logged in.")
        expect(access(page)).to_have_value(str(PAIR["access_token"]))
        expect(field).to_be_hidden()
        posted = {"challenge": CHALLENGE["challenge"], "code": "492039"}
        assert served.inner.posted == [{"token": TOKEN}, posted]
        assert page.evaluate("document.getElementById('code').value") == ""
        assert stored(page) == [0, 0, 0]
        assert watch.said == []

    @pytest.mark.parametrize(
        "refusal", [(401, WRONG), (400, {**WRONG, "code": "request_invalid"}), (429, WRONG)]
    )
    def test_a_wrong_code_leaves_the_form_for_another_try(
        self, page: Page, served: Served, refusal: tuple[int, Any]
    ) -> None:
        field = asked_for_code(page, served)
        served.inner.answers[SECOND] = refusal
        field.fill("000000")
        page.get_by_role("button", name="Log in").click()
        expect(result(page)).to_contain_text("The code is not valid")
        expect(field).to_be_focused()
        expect(access(page)).to_be_hidden()
        served.inner.answers[SECOND] = (200, PAIR)
        field.fill("k2vd-7qxm-hs4c-wn3p")
        page.keyboard.press("Enter")
        expect(result(page)).to_contain_text("You are logged in.")
        tried = [body.get("code") for body in served.inner.posted]
        assert tried == [None, "000000", "k2vd-7qxm-hs4c-wn3p"]
        assert {body.get("challenge") for body in served.inner.posted[1:]} == {"the-challenge"}

    def test_nothing_is_posted_without_a_code(self, page: Page, served: Served) -> None:
        field = asked_for_code(page, served)
        button = page.get_by_role("button", name="Log in")
        for typed in ("", "49203"):
            field.clear()
            field.press_sequentially(typed)
            button.click()
        assert served.inner.posted == [{"token": TOKEN}]


class TestAppearance:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_has_enough_contrast_and_fits_a_small_screen(
        self, browser: Browser, served: Served, scheme: Any
    ) -> None:
        context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 480})
        page = context.new_page()
        asked_for_code(page, served).fill("492039")
        for selector in ("label[for=code]", "#code", "#button"):
            assert contrast(page, selector) >= 4.5, selector
        page.keyboard.press("Enter")
        expect(access(page)).to_be_visible()
        for selector in ("label[for=access]", "#access", "#expiry", "#session button"):
            assert contrast(page, selector) >= 4.5, selector
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        context.close()


class TestMailedLink:
    @pytest.fixture
    def person(self, world: World, org: Org, settings: Settings) -> Newcomer:
        return employee(world, org, world.client(), settings)

    def _follow(self, page: Page, person: Newcomer, settings: Settings, server: Server) -> None:
        body = {"email": person.email}
        assert person.http.post("/api/auth/magic-link", json=body).status_code == 202
        page.goto(mailed_link(settings, person.email).replace(settings.base_url, server.url))
        page.get_by_role("button", name="Log in").click()

    def test_logs_in(
        self, page: Page, person: Newcomer, settings: Settings, server: Server,
        worker: WorkerThread, watch: Watch,
    ) -> None:  # fmt: skip
        self._follow(page, person, settings, server)
        expect(access(page)).to_be_visible()
        me = get_me(person.http, access(page).input_value())
        assert me.json()["username"] == person.username
        assert watch.said == []

    def test_with_a_second_factor_needs_a_code(
        self, page: Page, person: Newcomer, settings: Settings, server: Server,
        worker: WorkerThread, runtime: Runtime,
    ) -> None:  # fmt: skip
        app = Authenticator(runtime, person).switched_on()
        self._follow(page, person, settings, server)
        page.get_by_label("Code").fill(app.wrong_code)
        page.keyboard.press("Enter")
        expect(result(page)).to_contain_text("The code or the challenge is not valid")
        page.get_by_label("Code").fill(app.backup_codes[0])
        page.keyboard.press("Enter")
        expect(access(page)).to_be_visible()
        assert get_me(person.http, access(page).input_value()).status_code == 200
