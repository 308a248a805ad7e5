"""uvicorn's HTTP protocol, with our answer to bytes that are not HTTP.

Such a request never becomes an ASGI call, so the edge cannot see it, and uvicorn would answer in
plain text without the security headers. Give this class to uvicorn as its `http` option.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bugtracker.edge.exchange import SECURITY_HEADERS
from bugtracker.errors import PROBLEM_MEDIA_TYPE, RequestMalformed, problem_bytes
from bugtracker.ids import new_id


class EdgeProtocol(HttpToolsProtocol):
    """HTTP/1.1 parsed by httptools; a request it cannot parse gets a problem document."""

    def send_400_response(self, msg: str) -> None:
        """Answer and close; called by uvicorn with its own plain message."""
        request_id = new_id().hex
        body = problem_bytes(RequestMalformed(msg), request_id)
        headers = [
            *self.server_state.default_headers,
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [b"%b: %b\r\n" % pair for pair in headers]
        self.transport.write(b"".join([b"HTTP/1.1 400 Bad Request\r\n", *lines, b"\r\n", body]))
        self.transport.close()
