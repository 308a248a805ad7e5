"""The pages behind the real edge, on a real socket, around a tiny API that keeps its input."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bugtracker.contract import Contract, load_contract
from bugtracker.edge import Edge
from bugtracker.pages import Pages
from bugtracker.paths import PathIndex
from bugtracker.settings import Settings
from tests.edge.serving import running

VERIFIED = {"username": "ada", "email": "ada@example.com", "verified": True}
RESET = {"username": "ada", "email": "ada@example.com"}
LINKED = (
    "/api/auth/verify-email",
    "/api/auth/password/reset",
    "/api/auth/magic-link/login",
    "/api/auth/login/two-factor",
    "/api/invitations/accept",
)
"""Where the page posts to."""
JOINED = {
    "username": "ada",
    "email": "ada@example.com",
    "organisation": "Analytical Engines",
    "role": "developer",
}


@dataclass
class Inner:
    """What the pages talk to: ``answer`` is what a link's post gives, unless ``answers`` has one
    for its path; ``posted`` what was sent."""

    answer: tuple[int, Any] = (200, VERIFIED)
    posted: list[Any] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._app = Starlette(
            routes=[
                Route("/healthz", self._health),
                *(Route(path, self._redeem, methods=["POST"]) for path in LINKED),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _redeem(self, request: Request) -> Response:
        assert request.headers["content-type"] == "application/json"
        self.posted.append(json.loads(await request.body()))
        status, body = self.answers.get(request.url.path, self.answer)
        if isinstance(body, str):
            return Response(body, status, media_type="text/plain")
        return JSONResponse(body, status)


@dataclass
class Served:
    """A running server; ``http`` talks to it without following redirects."""

    url: str
    inner: Inner
    contract: Contract
    http: httpx.Client


@contextmanager
def serving() -> Iterator[Served]:
    """Serve the pages of the real contract."""
    settings = Settings(rate_limit_per_ip="100000/minute", redis_url=None, database_url=None)
    contract, inner = load_contract(), Inner()
    pages = Pages(inner, contract, settings)
    methods_of = pages.methods_of(PathIndex(contract).methods)
    with running(Edge(pages, settings, methods_of=methods_of)) as port:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url) as http:
            yield Served(url, inner, contract, http)
