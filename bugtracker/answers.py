"""What is sent back, for those who only need three things of it: status, headers, body."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import flask

OF_A_BODY = ("Content-Type", "Content-Language")

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Answer:
    """An HTTP response; of one whose body is sent as it is made, the beginning.

    Each header has one value. ValueError for one that is not Latin-1 or ends its line: told here,
    before anything is committed. What is in ``raw`` is sent, with the length of the body.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_streamed: bool = False
    raw: RawHeaders = field(init=False)

    def __post_init__(self) -> None:
        headers = self.headers
        if self.status == 304:
            # Nothing is said about a body where there is none (RFC 9110, 8.6 and 15.4.5).
            headers = {name: value for name, value in headers.items() if name not in OF_A_BODY}
        self.raw = [(name.lower().encode("latin-1"), _line(v)) for name, v in headers.items()]
        if self.status not in (204, 304) and not self.is_streamed:
            self.raw.append((b"content-length", b"%d" % len(self.body)))


def _line(value: str) -> bytes:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("a header's value ends its line")
    return value.encode("latin-1")


def as_flask(answer: Answer) -> flask.Response:
    """The same for Flask, where flask-limiter works."""
    # Of bytes Flask says how many there are.
    body: Iterable[bytes] | bytes = iter(()) if answer.is_streamed else answer.body
    response = flask.Response(body, answer.status, answer.headers)
    if "Content-Type" not in answer.headers:
        del response.headers["Content-Type"]
    return response
