"""The page behind mailed links in a real browser."""

from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .serving import VERIFIED, Served
from .watching import Watch

TOKEN = "Zk3mT9bW2xQ7rL5vN8cY1dF6gH4jK0pS"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PROBLEM = {"title": "The link is not valid any more", "detail": "Register again."}


def open_link(page: Page, served: Served, fragment: str) -> None:
    """Opens the page as the link in a mail does."""
    page.goto(f"{served.url}/links/{fragment}")


def verification(page: Page, served: Served, token: str = TOKEN) -> Locator:
    """Opens a verification link; returns its button."""
    open_link(page, served, f"#action=verify-email&token={token}")
    return page.get_by_role("button", name="Confirm the address")


def result(page: Page) -> Locator:
    """Where the page says how it went."""
    return page.get_by_role("status")


class TestVerificationLink:
    def test_opening_posts_nothing(self, page: Page, served: Served, watch: Watch) -> None:
        button = verification(page, served)
        expect(button).to_be_visible()
        expect(page.get_by_role("heading")).to_have_text("Confirm your e-mail address")
        page.wait_for_load_state("networkidle")
        assert served.inner.posted == []
        assert watch.said == []
        assert watch.hosts == {served.url.removeprefix("http://")}

    def test_the_button_posts_the_token_once(self, page: Page, served: Served) -> None:
        verification(page, served).dblclick()
        expect(result(page)).to_contain_text("The address is confirmed.")
        expect(result(page)).to_contain_text("ada@example.com belongs to ada")
        expect(page.get_by_role("button")).to_be_hidden()
        assert served.inner.posted == [{"token": TOKEN}]

    def test_the_token_leaves_the_address_and_the_history(self, page: Page, served: Served) -> None:
        expect(verification(page, served)).to_be_visible()
        assert page.url == f"{served.url}/links/"
        # The blank first page of the tab, and this one: no entry holds the token.
        assert page.evaluate("history.length") == 2
        page.reload()
        expect(result(page)).to_contain_text("There is no link here.")

    def test_the_token_is_in_no_request_but_the_post(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        verification(page, served).click()
        expect(result(page)).to_contain_text("confirmed")
        # Chromium reports the fragment of a navigation, but sends it to nobody.
        sent = [url.partition("#")[0] for url in watch.requests]
        assert [url for url in sent if TOKEN in url] == []
        assert served.inner.posted == [{"token": TOKEN}]

    def test_works_by_keyboard_and_keeps_the_focus(self, page: Page, served: Served) -> None:
        expect(verification(page, served)).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(result(page)).to_contain_text("confirmed")
        expect(result(page)).to_be_focused()

    def test_the_old_form_of_a_redirect_keeps_the_token(self, page: Page, served: Served) -> None:
        page.goto(f"{served.url}/links#action=verify-email&token={TOKEN}")
        page.get_by_role("button").click()
        expect(result(page)).to_contain_text("confirmed")
        assert served.inner.posted == [{"token": TOKEN}]

    def test_a_second_link_in_the_same_tab_counts(self, page: Page, served: Served) -> None:
        expect(verification(page, served, "first")).to_be_visible()
        page.evaluate("location.hash = '#action=verify-email&token=second'")
        expect(page).to_have_url(f"{served.url}/links/")
        page.get_by_role("button", name="Confirm the address").click()
        expect(result(page)).to_contain_text("confirmed")
        assert served.inner.posted == [{"token": "second"}]


class TestRefusals:
    def test_the_problem_is_shown_and_the_button_goes(self, page: Page, served: Served) -> None:
        served.inner.answer = (422, PROBLEM)
        verification(page, served).click()
        expect(result(page)).to_contain_text(PROBLEM["title"])
        expect(result(page)).to_contain_text(PROBLEM["detail"])
        expect(page.get_by_role("button")).to_be_hidden()

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_what_may_pass_can_be_tried_again(
        self, page: Page, served: Served, status: int
    ) -> None:
        served.inner.answer = (status, {"title": "Busy", "detail": "Wait."})
        button = verification(page, served)
        button.click()
        expect(result(page)).to_contain_text("Busy")
        served.inner.answer = (200, VERIFIED)
        button.click()
        expect(result(page)).to_contain_text("confirmed")
        assert served.inner.posted == [{"token": TOKEN}] * 2

    def test_an_unreachable_server_can_be_tried_again(self, page: Page, served: Served) -> None:
        button = verification(page, served)
        page.context.set_offline(True)
        button.click()
        expect(result(page)).to_contain_text("cannot be reached")
        page.context.set_offline(False)
        button.click()
        expect(result(page)).to_contain_text("confirmed")

    @pytest.mark.parametrize("answer", [(502, "<b>Bad gateway</b>"), (502, []), (502, None)])
    def test_an_answer_of_another_kind_is_named_by_its_status(
        self, page: Page, served: Served, answer: tuple[int, Any]
    ) -> None:
        served.inner.answer = answer
        verification(page, served).click()
        expect(result(page)).to_contain_text("status 502")

    @pytest.mark.parametrize(
        "fragment",
        [
            "#action=sell-house&token=x",
            "#action=__proto__&token=x",
            "#action=constructor&token=x",
            "#action=verify-email",
            "#action=verify-email&token=",
            "#token=x",
            "#%%%",
        ],
    )
    def test_an_unknown_or_broken_link_is_explained(
        self, page: Page, served: Served, watch: Watch, fragment: str
    ) -> None:
        open_link(page, served, fragment)
        expect(result(page)).to_contain_text("Open the link in the mail once more")
        expect(page.get_by_role("button")).to_be_hidden()
        assert page.url == f"{served.url}/links/"
        assert watch.said == []


class TestHostileLinks:
    @pytest.mark.parametrize("token", [HOSTILE, quote(HOSTILE)])
    def test_markup_in_the_token_is_only_posted(
        self, page: Page, served: Served, watch: Watch, token: str
    ) -> None:
        button = verification(page, served, token)
        expect(button).to_be_visible()
        button.click()
        expect(result(page)).to_contain_text("confirmed")
        assert served.inner.posted == [{"token": HOSTILE}]
        assert page.locator("img").count() == 0
        assert watch.said == []

    def test_markup_in_the_action_does_nothing(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        open_link(page, served, f"#action={HOSTILE}&token={HOSTILE}")
        expect(result(page)).to_contain_text("not known here")
        assert page.locator("img").count() == 0
        assert watch.said == []

    def test_markup_in_the_answer_is_text(self, page: Page, served: Served) -> None:
        served.inner.answer = (422, {"title": HOSTILE, "detail": HOSTILE})
        verification(page, served).click()
        expect(result(page)).to_have_text(HOSTILE * 2)
        assert page.locator("img").count() == 0

    def test_the_policy_stops_injected_script(
        self, page: Page, served: Served, watch: Watch
    ) -> None:
        expect(verification(page, served)).to_be_visible()
        with pytest.raises(Exception, match="TrustedHTML"):
            page.evaluate("html => { document.body.innerHTML = html; }", HOSTILE)
        assert not any("dialog" in said for said in watch.said)


class TestAppearance:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_follows_the_colour_scheme_with_enough_contrast(
        self, browser: Browser, served: Served, scheme: Any
    ) -> None:
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        expect(verification(page, served)).to_be_visible()
        for selector in ("h1", "#text", ".product", "button"):
            assert contrast(page, selector) >= 4.5, selector
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(rgb(background)) < 0.2) == (scheme == "dark")
        context.close()

    def test_fits_a_small_screen(self, browser: Browser, served: Served) -> None:
        context = browser.new_context(viewport={"width": 320, "height": 480})
        page = context.new_page()
        served.inner.answer = (422, {"title": "x" * 200, "detail": "y" * 200})
        verification(page, served).click()
        expect(result(page)).to_contain_text("yyy")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        context.close()


def contrast(page: Page, selector: str) -> float:
    """The contrast ratio (WCAG) of an element's text with the nearest background."""
    fore, back = page.eval_on_selector(
        selector,
        """element => {
          let behind = element;
          const back = (e) => getComputedStyle(e).backgroundColor;
          while (back(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
          return [getComputedStyle(element).color, back(behind)];
        }""",
    )
    dark, light = sorted((luminance(rgb(fore)), luminance(rgb(back))))
    return (light + 0.05) / (dark + 0.05)


def rgb(colour: str) -> list[int]:
    """The parts of ``rgb(1, 2, 3)``."""
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


def luminance(parts: list[int]) -> float:
    """Relative luminance as WCAG defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in parts)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
