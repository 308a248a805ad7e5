"""The pages with the whole application behind them, from the mail to the login."""

import re
import time
from email import message_from_bytes, policy
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from bugtracker.contract import Contract
from bugtracker.jobs.worker import WorkerThread
from bugtracker.settings import Settings
from tests.serving import Server

from .watching import Watch

PASSWORD = "Tide-Table-1843"
SECONDS = 20


def mailed_link(settings: Settings, address: str) -> str:
    """The link in the first mail to an address; waits for the mail."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for file in sorted(settings.mail_dir.glob("*.eml")):
            if link := _link_to(address, file):
                return link
        time.sleep(0.1)
    raise AssertionError(f"no mail to {address} within {SECONDS} s")


def _link_to(address: str, file: Path) -> str | None:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    if address not in message["To"]:
        return None
    part = message.get_body(("plain",))
    assert part is not None
    found = re.search(r"^https?://\S+#\S+", part.get_content(), re.MULTILINE)
    return found[0] if found else None


class TestMailedLink:
    def test_leads_to_a_verified_account(
        self, page: Page, server: Server, settings: Settings, worker: WorkerThread
    ) -> None:
        email = "pages@example.com"
        login = {"email": email, "password": PASSWORD}
        with httpx.Client(base_url=server.url) as http:
            account = {**login, "username": "pages", "org_name": "Pages"}
            assert http.post("/api/auth/register", json=account).status_code == 202
            link = mailed_link(settings, email).replace(settings.base_url, server.url)

            page.goto(link)
            button = page.get_by_role("button", name="Confirm the address")
            expect(button).to_be_visible()
            assert http.post("/api/auth/login", json=login).status_code == 401

            button.click()
            expect(page.get_by_role("status")).to_contain_text(f"{email} belongs to pages")
            assert http.post("/api/auth/login", json=login).status_code == 200

        page.goto("about:blank")
        page.goto(link)
        button.click()
        expect(page.get_by_role("status")).to_contain_text("The link is not valid any more")


class TestDocs:
    def test_tries_a_real_operation_out(
        self, page: Page, watch: Watch, server: Server, contract: Contract
    ) -> None:
        page.goto(f"{server.url}/")
        expect(page.locator(".opblock")).to_have_count(len(contract.operations))
        block = page.locator("#operations-health-get_health")
        block.locator(".opblock-summary-control").click()
        block.locator(".execute").click()
        answer = block.locator(".live-responses-table")
        expect(answer.locator(".response-col_status").last).to_contain_text("200")
        expect(answer).to_contain_text('"status": "ok"')
        assert watch.said == []
        assert watch.hosts == {server.url.removeprefix("http://")}
