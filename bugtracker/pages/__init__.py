"""The only pages: documentation, contract, and what mailed links open. All of them are static.

Stands between the edge, which adds the headers of every answer and turns HEAD into GET, and the
API, which gets every path that is not one of ours.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from bugtracker.conditional import not_modified
from bugtracker.contract import Contract
from bugtracker.middleware import method_not_allowed, send_problem
from bugtracker.pages.assets import Asset, all_assets
from bugtracker.settings import Settings

__all__ = ["Pages"]

_METHODS = frozenset({"GET"})
_ALLOW = "GET, HEAD, OPTIONS"
# Locations without a host: nothing of the Host header comes back. Browsers keep the fragment.
_REDIRECTS = {
    "/": (302, "/docs"),
    "/docs/": (308, "/docs"),
    "/reference/": (308, "/reference"),
    "/links": (308, "/links/"),
}

_Headers = list[tuple[bytes, bytes]]


class Pages:
    """ASGI middleware that answers GET on the pages' paths.

    It takes the settings as every layer does, and needs none of them so far.
    """

    def __init__(self, app: ASGIApp, contract: Contract, _settings: Settings) -> None:
        self._app = app
        self._assets = all_assets(contract)

    def methods_of(
        self, fallback: Callable[[str], frozenset[str] | None]
    ) -> Callable[[str], frozenset[str]]:
        """The methods of any path: GET for ours, else what ``fallback`` says; empty if unknown."""

        def methods(path: str) -> frozenset[str]:
            return _METHODS if self._owns(path) else fallback(path) or frozenset()

        return methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page; pass anything else on."""
        if scope["type"] != "http" or not self._owns(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["method"] != "GET":
            await send_problem(method_not_allowed(_ALLOW), scope, send)
        elif scope["path"] in _REDIRECTS:
            status, location = _REDIRECTS[scope["path"]]
            await _answer(send, status, [(b"location", location.encode())], b"")
        else:
            await _send_asset(self._assets[scope["path"]], scope, send)

    def _owns(self, path: str) -> bool:
        return path in self._assets or path in _REDIRECTS


async def _send_asset(asset: Asset, scope: Scope, send: Send) -> None:
    headers = [
        (b"etag", asset.etag.encode()),
        (b"cache-control", asset.cache_control.encode()),
    ]
    if asset.policy is not None:
        headers.append((b"content-security-policy", asset.policy.encode()))
    if not_modified(_if_none_match(scope), asset.etag):
        await _answer(send, 304, headers)
    else:
        headers.append((b"content-type", asset.media_type.encode()))
        await _answer(send, 200, headers, asset.body[:])


def _if_none_match(scope: Scope) -> str | None:
    """The header's value; a list may come in several lines."""
    values = [value for name, value in scope["headers"] if name == b"if-none-match"]
    return b", ".join(values).decode("latin-1") if values else None


async def _answer(send: Send, status: int, headers: _Headers, body: bytes | None = None) -> None:
    """Send an answer; without a body (None) it has no length either, as a 304 should not."""
    if body is not None:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body or b""})
