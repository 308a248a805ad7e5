"""A receiver of webhooks on a real socket, which answers, hangs, drips or floods as told."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.webhooks.verifying import verify

Answer = Callable[["Handler"], None]


@dataclass(frozen=True)
class Message:
    """What was received."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def type(self) -> str:
        return str(self.json["type"])

    def is_signed_with(self, secret: str) -> bool:
        return verify(secret, self.headers, self.body)


class Handler(BaseHTTPRequestHandler):
    """Keeps each message, then does as the receiver's ``answer`` says."""

    server: "_Server"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # The sender died in the middle of it.
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.receiver.messages.append(Message(self.path, headers, body))
        self.server.receiver.answer(self)

    def reply(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    receiver: "Receiver"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders go when they have enough."""


class Receiver:
    """``answer`` is called for each message; 204 unless a test says otherwise."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.messages: list[Message] = []
        self.answer: Answer = status(204)
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.receiver = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]

    @property
    def types(self) -> list[str]:
        return [message.type for message in self.messages]

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def status(code: int, **headers: str) -> Answer:
    """Answers with nothing but this."""
    return lambda handler: handler.reply(code, **headers)


def in_turn(*answers: Answer) -> Answer:
    """Each answer once, the last one from then on."""
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def hang(handler: Handler) -> None:
    """Says nothing, until the sender goes."""
    handler.connection.recv(1)


def hang_until(over: threading.Event) -> Answer:
    """Says nothing, until ``over`` or for longer than any sender waits; then goes."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        over.wait(60)

    return answer


def drip(handler: Handler) -> None:
    """A byte of a header at a time, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def flood(handler: Handler) -> None:
    """500 and a body without an end."""
    handler.wfile.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 10737418240\r\n\r\n")
    chunk = b"x" * 65_536
    while True:
        handler.wfile.write(chunk)
