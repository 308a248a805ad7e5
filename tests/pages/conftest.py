"""One server and one browser for all tests of the pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import launch_browser

from .serving import Inner, Served, serving
from .watching import Watch


@pytest.fixture(scope="session")
def pages_server() -> Iterator[Served]:
    """A server that lives as long as the tests."""
    with serving() as served:
        yield served


@pytest.fixture
def served(pages_server: Served) -> Served:
    """The server, with nothing posted yet and verifying made to succeed."""
    fresh = Inner()
    pages_server.inner.answer = fresh.answer
    pages_server.inner.posted = fresh.posted
    pages_server.inner.answers = fresh.answers
    return pages_server


# Not of the session: while it runs, no test of the same process can run an event loop.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser, started once."""
    with launch_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab with a profile of its own."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(page: Page) -> Watch:
    """Records what the tab says and asks for."""
    return Watch(page)
