"""The outermost layer: what holds for every request and every answer, whichever layer gives it.

In this order: request id, client address, security headers, last-resort 500, CORS headers, limit
per address or API key, sanity of target and headers, preflights, body, application. Preflights come
after the limit because every request counts. HEAD runs the application's GET, and its body is
dropped.
"""

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker.edge.addresses import ClientAddresses, limit_key
from bugtracker.edge.bodies import check_length, read_body
from bugtracker.edge.cors import (
    ALL_METHODS,
    Cors,
    MethodsOf,
    allow_value,
    allowed_methods,
    preflight_headers,
)
from bugtracker.edge.exchange import Exchange
from bugtracker.edge.request_headers import (
    RequestHeaders,
    replace_headers,
    require_host,
    uniform_headers,
)
from bugtracker.edge.targets import check_target
from bugtracker.errors import (
    AppError,
    InternalError,
    MethodNotAllowed,
    OriginNotAllowed,
    RateLimitExceeded,
)
from bugtracker.ids import new_id
from bugtracker.logs import log_request
from bugtracker.messages import _
from bugtracker.metrics import rate_limited
from bugtracker.metrics.metering import RequestMeter
from bugtracker.request_counts import RequestCounter
from bugtracker.security.api_keys import RecentKeys
from bugtracker.settings import Settings
from bugtracker.throttle import RateLimit, Shared

__all__ = ["Edge"]

logger = structlog.get_logger("bugtracker.edge")

UNLIMITED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
CLIENT_GONE = 499
"""Status in the log when the client left before there was an answer."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_CHUNKED = frozenset({b"transfer-encoding"})


class Edge:
    """ASGI middleware around everything; `methods_of` names the methods of a path.

    Limits are counted in `shared`, which is closed in the end, or without it in this process.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        methods_of: MethodsOf | None,
        shared: Shared | None = None,
        recent_keys: RecentKeys | None = None,
        counter: RequestCounter | None = None,
        meter: RequestMeter | None = None,
    ) -> None:
        self._app = app
        self._methods_of = methods_of
        self._max_body = settings.max_body_bytes
        self._body_seconds = settings.body_timeout
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._cors = Cors(settings.cors_origins)
        self._shared = shared
        self._limit = RateLimit("ip", settings.per_ip_limit, shared)
        self._key_limit = RateLimit("api_key", settings.per_api_key_limit, shared)
        self._recent_keys = recent_keys or RecentKeys()
        self._counter = counter
        self._meter = meter or RequestMeter(lambda _path, _method: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection scope."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._run_lifespan(scope, receive, send)

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            # Before the server hears of it: it would not wait for what is done behind.
            if message["type"] == "lifespan.shutdown.complete":
                await self._stop()
            await send(message)

        if self._counter is not None:
            self._counter.start()
        await self._app(scope, receive, sending)

    async def _stop(self) -> None:
        if self._counter is not None:
            await self._counter.stop()
        if self._shared is not None:
            await self._shared.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        self._meter.begin()
        read = RequestHeaders(scope["headers"])
        request_id = _request_id(read)
        peer = scope.get("client")
        client = self._addresses.client(peer[0] if peer else None, read.get(b"x-forwarded-for"))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["client_ip"] = client
        # Parsed only when there is something to say.
        state["accept_language"] = read.get(b"accept-language")
        state["is_head"] = scope["method"] == "HEAD"
        structlog.contextvars.bind_contextvars(request_id=request_id)
        exchange = Exchange(receive, send, request_id, is_head=scope["method"] == "HEAD")
        try:
            await self._guard(scope, read, exchange)
        finally:
            status = exchange.status or CLIENT_GONE
            if self._counter is not None:
                self._counter.note(scope, read.get(b"authorization"), status)
            seconds = time.perf_counter() - begun
            self._meter.end(scope, status, seconds)
            log_request(scope, status, seconds)

    async def _guard(self, scope: Scope, read: RequestHeaders, exchange: Exchange) -> None:
        """Run the request, and turn whatever is raised into an answer."""
        exchange.varies = self._cors.varies
        exchange.cors = self._cors.headers(read.get(b"origin"))
        try:
            await self._admit(scope, read, exchange)
            if not exchange.started and not exchange.gone:
                raise RuntimeError("the application returned without an answer")
        except AppError as error:
            await self._fail(scope, exchange, error)
        except Exception as error:
            if exchange.gone:
                logger.info("client_gone", error=type(error).__name__)
            else:
                logger.exception("request_failed")
                await self._fail(scope, exchange, InternalError())

    async def _fail(self, scope: Scope, exchange: Exchange, error: AppError) -> None:
        """Answer with the error; once an answer has begun, returning makes the server close."""
        if not exchange.started:
            await exchange.refuse(error, scope["state"])

    async def _admit(self, scope: Scope, read: RequestHeaders, exchange: Exchange) -> None:
        """Let the request through to the application, or raise what is wrong with it."""
        # A refusal may leave a small rest of the body to the kept connection, but not any rest.
        exchange.unread = read.announces_body and not read.fits(self._max_body)
        exchange.is_waiting = b"expect" in read.values
        if scope["path"] not in UNLIMITED_PATHS:
            await self._count(scope["state"]["client_ip"], read, exchange)
        method = scope["method"]
        if method in ("TRACE", "CONNECT"):
            raise self._method_not_allowed(scope["path"])
        if method == "OPTIONS" and scope["path"] == "*":
            return await exchange.answer(204, ((b"allow", allow_value(ALL_METHODS).encode()),))
        check_target(_raw_path(scope), scope["query_string"])
        require_host(read, scope.get("http_version"))
        headers = uniform_headers(scope["headers"], read)
        if method == "OPTIONS" and await self._answer_options(scope["path"], read, exchange):
            return None
        if read.announces_body:
            body = await self._read_body(read, exchange)
            if body is None:
                return None
            exchange.replay(body)
            # Whoever checks a signature needs the bytes as they came, before anybody parses them.
            scope["state"]["body"] = body
            headers = _with_length(headers, read, len(body))
        return await self._app(_inner_scope(scope, headers), exchange.receive, exchange.send)

    async def _read_body(self, read: RequestHeaders, exchange: Exchange) -> bytes | None:
        check_length(read.body_length, self._max_body)
        exchange.unread, exchange.is_waiting = True, False
        body = await read_body(exchange.receive, self._max_body, self._body_seconds)
        exchange.unread = False
        return body

    async def _count(self, client: str, read: RequestHeaders, exchange: Exchange) -> None:
        """Count the request with the creator of its API key, or else with its address.

        Only keys that just worked: made-up ones would be no limit at all. And no key by itself:
        people can make as many as they like.
        """
        creator_id = self._recent_keys.find(read.get(b"authorization"))
        limit, counted, who = self._limit, limit_key(client), _("from this address")
        if creator_id is not None:
            limit, counted = self._key_limit, str(creator_id)
            who = _("with API keys of this person")
        quota = await limit.hit(counted)
        exchange.limits = limit.headers(quota)
        if not quota.allowed:
            rate_limited.labels(limit.name).inc()
            seconds = max(1, quota.retry_after)
            raise RateLimitExceeded(
                _("Too many requests {who}. Try again in {seconds} s.", who=who, seconds=seconds),
                headers={"Retry-After": str(seconds)},
            )

    def _method_not_allowed(self, path: str) -> MethodNotAllowed:
        methods = allowed_methods(self._methods_of, path) or ALL_METHODS
        return MethodNotAllowed(
            _("This method is never allowed."), headers={"Allow": allow_value(methods)}
        )

    async def _answer_options(self, path: str, read: RequestHeaders, exchange: Exchange) -> bool:
        """Answer a preflight, or OPTIONS for a path we know. False: the application shall."""
        methods = allowed_methods(self._methods_of, path)
        if read.get(b"origin") is not None and b"access-control-request-method" in read.values:
            if not exchange.cors:
                raise OriginNotAllowed(_("This origin may not use the API from a browser."))
            await exchange.answer(204, preflight_headers(methods or ALL_METHODS))
            return True
        if methods:
            await exchange.answer(204, ((b"allow", allow_value(methods).encode()),))
        return bool(methods)


def _request_id(read: RequestHeaders) -> str:
    given = read.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return new_id().hex


def _raw_path(scope: Scope) -> bytes:
    """The path as it was sent; ASGI lets servers leave it out."""
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None else str(scope["path"]).encode()


def _with_length(
    headers: list[tuple[bytes, bytes]], read: RequestHeaders, length: int
) -> list[tuple[bytes, bytes]]:
    if b"transfer-encoding" not in read.values:
        return headers
    return replace_headers(headers, {b"content-length": b"%d" % length}, _CHUNKED)


def _inner_scope(scope: Scope, headers: list[tuple[bytes, bytes]]) -> Scope:
    """The application's scope: the server's own, unless something had to be changed."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if headers is scope["headers"] and method == scope["method"]:
        return scope
    return {**scope, "method": method, "headers": headers}
