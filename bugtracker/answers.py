"""What is sent back, for those who only need three things of it: status, headers, body."""

from dataclasses import dataclass, field

import flask

OF_A_BODY = ("Content-Type", "Content-Length", "Content-Language")

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Answer:
    """An HTTP response; of one whose body is sent as it is made, the beginning.

    Each header has one value, which must be in Latin-1.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_streamed: bool = False

    def raw_headers(self) -> RawHeaders:
        """The headers as ASGI wants them. What says something about a body is left out where
        there is none (RFC 9110, 8.6 and 15.4.5). ValueError for a value that ends its line."""
        headers = self.headers
        if self.status == 304:
            headers = {name: value for name, value in headers.items() if name not in OF_A_BODY}
        elif self.status != 204 and not self.is_streamed:
            headers = {**headers, "Content-Length": str(len(self.body))}
        return [(name.lower().encode("latin-1"), _one_line(v)) for name, v in headers.items()]


def _one_line(value: str) -> bytes:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("a header's value ends its line")
    return value.encode("latin-1")


def as_flask(answer: Answer) -> flask.Response:
    """The same for Flask, where flask-limiter works."""
    # Of bytes Flask says how many there are.
    body = iter(()) if answer.is_streamed else answer.body
    response = flask.Response(body, answer.status, answer.headers)
    if "Content-Type" not in answer.headers:
        del response.headers["Content-Type"]
    return response
