"""One request and its answer: the state of the edge between them, and the headers it adds."""

from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import Message, Receive, Send

from bugtracker.edge.bodies import discard_body
from bugtracker.errors import AppError, problem_bytes, problem_headers, raw_headers
from bugtracker.language import language_of

Pairs = tuple[tuple[bytes, bytes], ...]

SECURITY_HEADERS: Pairs = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"x-xss-protection", b"0"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""Defaults: a layer that sets one of them itself (the documentation its own policy) is kept."""

_STRUCTURED = frozenset({b"ratelimit", b"ratelimit-policy"})
_CLASSIC = frozenset({b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset"})
_ONCE = frozenset({name for name, _ in SECURITY_HEADERS} | _STRUCTURED | _CLASSIC)
_OURS = frozenset({b"server", b"x-request-id"})
_SPECIAL = _ONCE | _OURS


class Exchange:
    """Stands between server and application; its `receive` and `send` are what the latter gets."""

    __slots__ = (
        "_body", "_receive", "_send", "cors", "gone", "is_head", "is_waiting", "limits",
        "request_id", "started", "status", "unread", "varies",
    )  # fmt: skip

    def __init__(self, receive: Receive, send: Send, request_id: str, *, is_head: bool) -> None:
        self._receive = receive
        self._send = send
        self._body: bytes | None = None
        self.request_id = request_id
        self.is_head = is_head
        self.cors: Pairs = ()
        self.varies = False
        """Whether `Vary: Origin` is due."""
        self.limits: Pairs = ()
        """RateLimit headers."""
        self.unread = False
        """Whether more of the body may follow than a kept connection should have to swallow."""
        self.is_waiting = False
        """Whether the client sends its body only when told to (`Expect: 100-continue`)."""
        self.status = 0
        self.started = False
        self.gone = False
        """Whether the client has left."""

    def replay(self, body: bytes) -> None:
        """Let the application receive this body, in one message."""
        self._body = body

    async def receive(self) -> Message:
        """The next message for the application."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on, with our headers, and without a body for HEAD."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            message = {**message, "headers": self._complete(message.get("headers", ()))}
        elif self.is_head:
            message = {**message, "body": b""}
        await self._send(message)

    async def answer(self, status: int, headers: Pairs, body: bytes = b"") -> None:
        """Send a whole answer of the edge's own."""
        if self.unread:
            headers = (*headers, (b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        if self.unread:
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            if not self.is_waiting:
                await discard_body(self.receive)
            body = b""
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, error: AppError, state: MutableMapping[str, Any]) -> None:
        """Answer with a problem document, to the request of this ASGI state."""
        language = language_of(state)
        body = problem_bytes(error, state, language)
        headers: Pairs = (
            (b"content-length", b"%d" % len(body)),
            *raw_headers(problem_headers(error, language)),
        )
        await self.answer(error.status, headers, body)

    def _complete(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The answer's headers with ours; of those that must be unique the first one counts."""
        complete: list[tuple[bytes, bytes]] = []
        seen: set[bytes] = set()
        for name, value in headers:
            name = name.lower()
            if name in _SPECIAL:
                if name in seen or name in _OURS:
                    continue
                seen.add(name)
            complete.append((name, value))
        complete.append((b"x-request-id", self.request_id.encode()))
        complete.extend(p for p in SECURITY_HEADERS if p[0] not in seen)
        complete.extend(_missing_limits(self.limits, seen) if seen else self.limits)
        complete.extend(self.cors)
        return _with_vary(complete) if self.varies else complete


def _missing_limits(limits: Pairs, seen: set[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """Our RateLimit headers, except the forms in which an inner limit has spoken already."""
    spoken = {name for form in (_STRUCTURED, _CLASSIC) if seen & form for name in form}
    return (pair for pair in limits if pair[0] not in spoken)


def _with_vary(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with one Vary line that names Origin."""
    varies = [value for name, value in headers if name == b"vary"]
    named = {name.strip().lower() for value in varies for name in value.split(b",")}
    if named.isdisjoint((b"origin", b"*")):
        varies.append(b"Origin")
    kept = [pair for pair in headers if pair[0] != b"vary"]
    return [*kept, (b"vary", b", ".join(varies))]
