"""HTTP by hand: requests as bytes over a socket, for what clients would repair or not send."""

import json
import socket
from dataclasses import dataclass

from tests.edge.serving import Answer, read_answer

SECONDS = 10
"""Longer than any answer takes: what runs into it hangs, and the test fails."""

SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-xss-protection": "0",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True)
class Raw:
    """Somebody with an access token who writes requests by hand."""

    host: str
    port: int
    authorization: str

    def get(self, target: str | bytes, *headers: str | bytes) -> Answer:
        return self.send("GET", target, *headers)

    def post(self, target: str, body: bytes, *headers: str | bytes) -> Answer:
        """Posts JSON, unless the headers have another Content-Type."""
        typed = any(_bytes(header).lower().startswith(b"content-type") for header in headers)
        json_type = () if typed else ("Content-Type: application/json",)
        return self.send("POST", target, *json_type, *headers, body=body)

    def send(
        self, method: str, target: str | bytes, *headers: str | bytes, body: bytes | None = None
    ) -> Answer:
        """One request with these bytes; a body comes with its length unless a header says else."""
        lines = [
            method.encode() + b" " + _bytes(target) + b" HTTP/1.1",
            b"Host: test",
            b"Authorization: " + self.authorization.encode(),
            *map(_bytes, headers),
        ]
        framed = any(line.lower().startswith((b"transfer", b"content-length")) for line in lines)
        if body is not None and not framed:
            lines.append(b"Content-Length: %d" % len(body))
        return self.exchange(b"\r\n".join([*lines, b"", body or b""]), method)

    def exchange(self, request: bytes, method: str = "GET") -> Answer:
        """Sends the bytes and reads one answer, which must be clean whatever it is."""
        with socket.create_connection((self.host, self.port), timeout=SECONDS) as connection:
            connection.sendall(request)
            answer = read_answer(connection, method)
        check(answer, has_body=method != "HEAD")
        return answer


def check(answer: Answer, *, has_body: bool = True) -> None:
    """No 5xx; every security header once; errors are problem documents."""
    assert answer.status < 500, answer
    assert {name: answer.all(name) for name in SECURITY_HEADERS} == {
        name: [value] for name, value in SECURITY_HEADERS.items()
    }
    assert answer.one("cache-control")
    assert answer.one("x-request-id")
    assert answer.all("server") == []
    if answer.status >= 400 and has_body:
        assert answer.code
        assert "Traceback" not in answer.body.decode()


def errors(answer: Answer) -> set[tuple[str, str]]:
    """(place, code) of each violation of a problem document."""
    found: list[dict[str, str]] = json.loads(answer.body)["errors"]
    return {(e["parameter"] if "parameter" in e else e["pointer"], e["code"]) for e in found}


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, with the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
