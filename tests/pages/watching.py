"""What a page did while we looked at it."""

from urllib.parse import urlsplit

from playwright.sync_api import Page


class Watch:
    """Console messages (violations of the policy are among them), dialogs and requests of a tab."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda request: self.requests.append(request.url))

    @property
    def hosts(self) -> set[str]:
        """Where anything was loaded from; data: and blob: addresses are of the page itself."""
        own = ("data:", "blob:")
        return {urlsplit(url).netloc for url in self.requests if not url.startswith(own)}

    def _dismiss(self, dialog: object) -> None:
        self.said.append(f"dialog: {dialog}")
        dialog.dismiss()  # type: ignore[attr-defined]
