"""A real server around the edge: uvicorn in a thread, with a tiny application inside."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker.edge import Edge
from bugtracker.security.api_keys import RecentKeys
from bugtracker.settings import Settings
from bugtracker.throttle.shared import SharedCounts

Implementation = Literal["h11", "httptools"] | type[asyncio.Protocol]

_METHODS = {"/echo": frozenset({"GET", "POST"}), "/only-post": frozenset({"POST"})}


def methods_of(path: str) -> frozenset[str]:
    """The methods of the inner application's paths."""
    return _METHODS.get(path, frozenset())


class Inner:
    """The application behind the edge; it keeps the requests that reached it."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.disconnected = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        body = await _read(receive)
        seen = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "headers": [[n.decode(), v.decode("latin-1")] for n, v in scope["headers"]],
            "body": body.decode("latin-1"),
            # But for the method: HEAD is answered as GET.
            "state": {k: v for k, v in scope["state"].items() if k not in ("is_head", "body")},
        }
        self.requests.append(seen)
        await self._answer(scope, receive, send, json.dumps(seen).encode())

    async def _answer(self, scope: Scope, receive: Receive, send: Send, echo: bytes) -> None:
        path = scope["path"]
        if path == "/boom":
            raise RuntimeError("the inner application failed")
        if path == "/silent":
            return
        if path == "/wait":
            await _wait_for_disconnect(receive)
            self.disconnected.set()
            raise ConnectionError("nobody is listening")
        if path == "/known":
            scope["state"].update(operation_id="get_known", account_id="a1", org_id="o1")
        await send(_start(path, len(echo)))
        if path == "/late":
            await send({"type": "http.response.body", "body": echo[:1], "more_body": True})
            raise RuntimeError("failed half-way")
        await send({"type": "http.response.body", "body": echo})


def _start(path: str, length: int) -> Message:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % length)]
    if path == "/own":
        headers += [
            (b"Content-Security-Policy", b"default-src 'self'"),
            (b"Cache-Control", b"public, max-age=60"),
            (b"cache-control", b"private"),
            (b"Server", b"inner"),
            (b"X-Request-Id", b"inner-request-id"),
            (b"Vary", b"Accept-Language"),
        ]
    if path == "/own-limit":
        headers += [(b"RateLimit", b'"login";r=4;t=60')]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _read(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _wait_for_disconnect(receive: Receive) -> None:
    async with asyncio.timeout(10):
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass
class Answer:
    """What came back over the socket."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        (value,) = self.all(name)
        return value

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the problem document that the body must be."""
        assert self.one("content-type") == "application/problem+json"
        problem = self.json()
        assert problem["status"] == self.status
        assert problem["request_id"] == self.one("x-request-id")
        return str(problem["code"])


@dataclass
class Served:
    """A running server."""

    port: int
    inner: Inner

    def connect(self) -> socket.socket:
        """A connection; the caller closes it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def request(
        self,
        target: str | bytes = "/echo",
        *headers: str | bytes,
        method: str = "GET",
        body: bytes = b"",
    ) -> Answer:
        """Send these bytes as one request, exactly as given, and read the answer."""
        lines = [method.encode() + b" " + _bytes(target) + b" HTTP/1.1", b"Host: test"]
        lines += [_bytes(header) for header in headers]
        with self.connect() as connection:
            connection.sendall(b"\r\n".join([*lines, b"", body]))
            return read_answer(connection, method)

    def post(self, body: bytes, *headers: str | bytes, target: str = "/echo") -> Answer:
        """Post a body with its length."""
        length = f"Content-Length: {len(body)}"
        return self.request(target, length, *headers, method="POST", body=body)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one answer."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        return Answer(response.status, headers, response.read())
    finally:
        response.close()


@contextmanager
def serving(
    *,
    http_implementation: Implementation = "httptools",
    knows_methods: bool = True,
    recent_keys: RecentKeys | None = None,
    **given: Any,
) -> Iterator[Served]:
    """Serve the inner application behind an edge with these settings."""
    limits = {"rate_limit_per_ip": "100000/minute", "redis_url": None, "database_url": None}
    settings = Settings(**{**limits, **given})
    inner = Inner()
    edge = Edge(
        inner,
        settings,
        methods_of=methods_of if knows_methods else None,
        shared=SharedCounts(settings.redis_url.get_secret_value()) if settings.redis_url else None,
        recent_keys=recent_keys,
    )
    with running(edge, http_implementation) as port:
        yield Served(port, inner)


@contextmanager
def running(app: ASGIApp, implementation: Implementation = "httptools") -> Iterator[int]:
    """Run an application on a free port of its own."""
    config = uvicorn.Config(
        app, http=implementation, log_config=None, server_header=False, proxy_headers=False,
        lifespan="on", timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + 10
    while not server.started:
        assert thread.is_alive(), "the server stopped while starting"
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
