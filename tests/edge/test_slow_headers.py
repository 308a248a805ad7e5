"""Clients that never finish their headers."""

import time
from collections.abc import Iterator

import pytest

from bugtracker.edge import protocol
from bugtracker.edge.protocol import EdgeProtocol
from tests.timing import within

from .serving import Served, serving


def answer_to(server: Served, *chunks: bytes) -> bytes:
    """All that comes back for these bytes until the server closes."""
    with server.connect() as connection:
        for chunk in chunks:
            try:
                connection.sendall(chunk)
            except (BrokenPipeError, ConnectionResetError):
                break
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return received


@pytest.fixture(scope="module")
def bounded() -> Iterator[Served]:
    """A server with our protocol."""
    with serving(http_implementation=EdgeProtocol) as server:
        yield server


class TestSlowHeaders:
    @pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
    def test_a_client_that_says_nothing_more_is_let_go(
        self, monkeypatch: pytest.MonkeyPatch, sent: bytes
    ) -> None:
        monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.3)
        with serving(http_implementation=EdgeProtocol) as server:
            begun = time.monotonic()
            assert answer_to(server, sent) == b""
            assert time.monotonic() - begun < within(1)

    def test_a_request_in_time_is_answered_and_the_connection_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
        request = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
        with (
            serving(http_implementation=EdgeProtocol) as server,
            server.connect() as connection,
        ):
            connection.sendall(request)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.7)
            connection.sendall(request)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


class TestLargeHeaders:
    def test_one_endless_header_is_refused(self, bounded: Served) -> None:
        chunks = [b"GET / HTTP/1.1\r\nHost: x\r\nA: ", *([b"a" * 32_768] * 64)]
        assert answer_to(bounded, *chunks).startswith(b"HTTP/1.1 400")

    def test_many_headers_are_refused(self, bounded: Served) -> None:
        headers = b"".join(b"x-%d: y\r\n" % number for number in range(20_000))
        answer = answer_to(bounded, b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"application/problem+json" in answer
