"""uvicorn's HTTP protocol, with our answer to bytes that are not HTTP, and with bounds.

Such a request never becomes an ASGI call, so the edge cannot see it, and uvicorn would answer in
plain text without the security headers, wait for ever for the end of the headers, and read any
amount of them. Give this class to uvicorn as its `http` option.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bugtracker.edge.exchange import SECURITY_HEADERS
from bugtracker.edge.joined import JoinedWrites
from bugtracker.errors import (
    RequestMalformed,
    problem_bytes,
    problem_headers,
    raw_headers,
)
from bugtracker.ids import new_id
from bugtracker.messages import SOURCE, Message, _

HEADER_SECONDS = 10.0
"""How long a client may take for the headers of a request, the first one's connecting included."""
MAX_HEADER_BYTES = 65_536
END_WAIT = "end_wait"
"""In the ASGI state of a request that waits for something to happen: ends the wait."""


class EdgeProtocol(HttpToolsProtocol):
    """HTTP/1.1 parsed by httptools; a request it cannot parse gets a problem document."""

    _timer: asyncio.TimerHandle | None = None
    """Runs while the headers of a request are awaited."""
    _header_bytes = 0
    _unfinished_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected, and has to say what they want."""
        self._joined = JoinedWrites(transport, self.loop)
        super().connection_made(cast(Any, self._joined))
        self._await_headers()

    def eof_received(self) -> None:
        """Nothing more will be asked. The loop closes the connection behind this, past us."""
        self._joined.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first bytes of a request are here."""
        if self._timer is None:
            self._await_headers()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header is complete."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            # The parser turns this into its error for what it cannot parse.
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are complete; the body has a time limit of its own, at the edge."""
        self._stop_waiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """More bytes: one endless header is endless here, and quadratic in the parser."""
        before = self._timer
        super().data_received(data)
        if before is not None and self._timer is before:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response(_("The headers are too large."))

    def shutdown(self) -> None:
        """The server stops: a request that merely waits is answered now."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.scope["state"].get(END_WAIT, lambda: None)()
        super().shutdown()

    def _await_headers(self) -> None:
        self._header_bytes = self._unfinished_bytes = 0
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer and close, in English: nobody could read which language was asked for. Called by
        uvicorn with its own plain message."""
        request_id = new_id().hex
        ours = msg if isinstance(msg, Message) else _("Invalid HTTP request received.")
        error = RequestMalformed(ours)
        body = problem_bytes(error, {"request_id": request_id}, SOURCE)
        headers = [
            *self.server_state.default_headers,
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
            *raw_headers(problem_headers(error, SOURCE)),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [b"%b: %b\r\n" % pair for pair in headers]
        self.transport.write(b"".join([b"HTTP/1.1 400 Bad Request\r\n", *lines, b"\r\n", body]))
        self.transport.close()
