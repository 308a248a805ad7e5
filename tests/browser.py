"""A real browser for tests. A machine without one fails them: a page nobody saw proves nothing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_command() -> str:
    """Path of an installed Chromium or Chrome; raises RuntimeError with the remedy otherwise."""
    for name in _COMMANDS:
        path = shutil.which(name)
        if path:
            return path
    raise RuntimeError(
        f"these tests need a browser: none of {', '.join(_COMMANDS)} is installed "
        "(Debian, Ubuntu: apt-get install chromium)"
    )


@contextmanager
def launch_browser() -> Iterator[Browser]:
    """One headless browser, closed at the end. Starting takes about a second: share it."""
    # Chromium refuses its sandbox to root, as in most containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    arguments += ["--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_command(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()
