"""The reference in a real browser."""

from playwright.sync_api import Page, expect

from .serving import Served
from .watching import Watch

NOT_SHOWN = "ids => ids.filter(id => !document.querySelector(`[data-section-id$='/${id}']`))"


def opened(page: Page, served: Served, address: str = "") -> Page:
    """The page, completely rendered: that is half a second, or ten when the machine is busy."""
    page.goto(f"{served.url}/reference{address}")
    heading = page.get_by_role("heading", name="Bugtracker API")
    expect(heading).to_be_attached(timeout=30_000)
    return page


class TestReference:
    def test_shows_every_operation_and_asks_nobody_else(
        self, page: Page, watch: Watch, served: Served
    ) -> None:
        foreign = "http://evil.example/openapi.json"
        opened(page, served, f"?url={foreign}&spec-url={foreign}")
        names = [f"operation/{known.id}" for known in served.contract.operations.values()]
        assert page.evaluate(NOT_SHOWN, [*names, "no_such_operation"]) == ["no_such_operation"]
        menu = page.locator(".menu-content")
        for tag in served.contract.document["tags"]:
            expect(menu.get_by_text(tag["x-displayName"], exact=True).first).to_be_visible()
        # Styles have arrived: the menu stands beside the text.
        box = menu.bounding_box()
        assert box is not None
        assert box["width"] < 300
        assert watch.said == []
        assert watch.hosts == {served.url.removeprefix("http://")}

    def test_finds_an_operation_and_unfolds_it_within_the_policy(
        self, page: Page, watch: Watch, served: Served
    ) -> None:
        opened(page, served).get_by_role("textbox").first.fill("rotate")
        page.locator("[data-role='search:results']").get_by_text("Rotate an API key").click()
        section = page.locator("[data-section-id='tag/api_keys/operation/rotate_api_key']")
        expect(section.get_by_role("heading", name="Rotate an API key")).to_be_in_viewport()
        section.locator("button").filter(has_text="The new key, with its secret").click()
        expect(section.get_by_text("Response Schema:").first).to_be_visible()
        assert watch.said == []

    def test_links_lead_to_one_operation_and_the_menu_follows(
        self, page: Page, served: Served
    ) -> None:
        opened(page, served, "#operation/create_webhook")
        section = page.locator("[data-section-id='tag/webhooks/operation/create_webhook']")
        expect(section.get_by_role("heading", name="Create a webhook")).to_be_in_viewport()
        current = page.locator(".menu-content label.active")
        expect(current).to_contain_text("Create a webhook")
        expect(current).to_be_in_viewport()

    def test_fits_a_telephone(self, page: Page, served: Served) -> None:
        page.set_viewport_size({"width": 380, "height": 800})
        opened(page, served, "#operation/list_all_issues")
        assert page.evaluate("document.documentElement.scrollWidth") == 380
