"""The documentation in a real browser."""

import json

import pytest
from playwright.sync_api import Locator, Page, expect

from .serving import Served
from .watching import Watch


@pytest.fixture
def docs(page: Page, watch: Watch, served: Served) -> Page:
    """The page, completely rendered."""
    page.goto(f"{served.url}/docs")
    expect(page.locator(".opblock")).to_have_count(len(served.contract.operations))
    return page


def operation(docs: Page, tag: str, name: str) -> Locator:
    """An operation, unfolded."""
    block = docs.locator(f"#operations-{tag}-{name}")
    block.locator(".opblock-summary-control").click()
    return block


class TestDocs:
    def test_shows_every_operation(self, docs: Page, served: Served, watch: Watch) -> None:
        for known in served.contract.operations.values():
            block = docs.locator(f"#operations-{known.tags[0]}-{known.id}")
            expect(block.locator(".opblock-summary-method")).to_have_text(known.method.upper())
            # The style sheet has arrived.
            assert block.evaluate("e => getComputedStyle(e).borderTopLeftRadius") == "4px"
        assert watch.said == []
        assert watch.hosts == {served.url.removeprefix("http://")}

    def test_operations_of_every_kind_unfold_within_the_policy(
        self, docs: Page, served: Served, watch: Watch
    ) -> None:
        # One of each tag and method: unfolding all takes a browser a minute.
        kinds = {(each.tags, each.method): each.id for each in served.contract.operations.values()}
        docs.eval_on_selector_all(
            ".opblock",
            "(all, ids) => all.filter(e => ids.some(id => e.id.endsWith(`-${id}`)))"
            ".forEach(e => e.querySelector('[aria-expanded=false]')?.click())",
            list(kinds.values()),
        )
        expect(docs.locator(".opblock.is-open .execute")).to_have_count(len(kinds), timeout=60_000)
        assert watch.said == []
        assert watch.hosts == {served.url.removeprefix("http://")}

    def test_tries_an_operation_out(self, docs: Page, served: Served, watch: Watch) -> None:
        block = operation(docs, "health", "get_health")
        block.locator(".execute").click()
        answer = block.locator(".live-responses-table")
        expect(answer.locator(".response-col_status").last).to_contain_text("200")
        shown = answer.locator(".response-col_description .highlight-code code").first.inner_text()
        assert json.loads(shown) == {"status": "ok"}
        expect(answer).to_contain_text("Request duration")
        assert f"{served.url}/healthz" in watch.requests
        assert watch.said == []

    def test_filters_by_tag(self, docs: Page) -> None:
        docs.locator(".operation-filter-input").fill("health")
        expect(docs.locator(".opblock-tag")).to_have_count(1)

    def test_asks_people_for_their_token_first(self, docs: Page) -> None:
        docs.set_viewport_size({"width": 1280, "height": 720})
        docs.locator("button.authorize").click()
        field = docs.locator("#auth-bearer-value")
        expect(field).to_be_focused()
        expect(field).to_be_in_viewport()

    def test_keeps_the_token_in_memory_only(self, docs: Page) -> None:
        docs.locator("button.authorize").click()
        people = docs.locator(".auth-container").filter(has=docs.locator("#auth-bearer-value"))
        people.locator("input").fill("secret-token")
        people.locator(".auth-btn-wrapper .authorize").click()
        expect(docs.get_by_role("button", name="Remove authorization")).to_be_visible()
        stored = docs.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert "secret-token" not in stored + docs.evaluate("document.cookie")

    def test_links_lead_to_one_operation(self, page: Page, served: Served) -> None:
        page.goto(f"{served.url}/docs/#/health/get_health")
        expect(page.locator("#operations-health-get_health.is-open")).to_be_visible()

    def test_shows_no_contract_but_ours(self, page: Page, watch: Watch, served: Served) -> None:
        foreign = "http://evil.example/openapi.json"
        page.goto(f"{served.url}/docs?url={foreign}&configUrl={foreign}")
        expect(page.locator(".opblock")).to_have_count(len(served.contract.operations))
        assert watch.hosts == {served.url.removeprefix("http://")}
