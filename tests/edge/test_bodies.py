"""Request bodies: size, time and framing. The limit is 2048 bytes, the time 0.4 s."""

import time
from collections.abc import Iterator

import pytest

from tests.timing import within

from .serving import Answer, Implementation, Served, read_answer, serving

HEAD = b"POST /echo HTTP/1.1\r\nHost: t\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module", params=["h11", "httptools"])
def either(request: pytest.FixtureRequest) -> Iterator[Served]:
    implementation: Implementation = request.param
    with serving(
        http_implementation=implementation, max_body_bytes=2048, body_timeout=0.4
    ) as server:
        yield server


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def send(server: Served, *pieces: bytes, pause: float = 0.02) -> Answer:
    """Send pieces with pauses between them, then read the answer."""
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return read_answer(connection)


def headers_seen(answer: Answer) -> dict[str, str]:
    return dict(answer.json()["headers"])


class TestLength:
    def test_up_to_the_limit_passes(self, either: Served) -> None:
        assert either.post(b"x" * 2048).json()["body"] == "x" * 2048

    def test_beyond_is_refused_before_anything_is_read(self, either: Served) -> None:
        # Not 408: nothing of the body is waited for.
        answer = send(either, HEAD + b"Content-Length: 2049\r\n\r\n")
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert answer.one("connection") == "close"

    @pytest.mark.parametrize("length", ["9" * 18, "9" * 30])
    def test_astronomic_ones_are_refused(self, either: Served, length: str) -> None:
        assert send(either, HEAD + b"Content-Length: %b\r\n\r\n" % length.encode()).status in (
            400,
            413,
        )

    def test_a_client_that_sends_on_still_reads_the_answer(self, either: Served) -> None:
        body = b"x" * 3_000_000
        answer = either.post(body)
        assert (answer.status, answer.code) == (413, "body_too_large")

    @pytest.mark.parametrize(
        "lines",
        [
            b"Content-Length: abc\r\n", b"Content-Length: -1\r\n", b"Content-Length: +2\r\n",
            b"Content-Length: 1_0\r\n", b"Content-Length: 2\r\nContent-Length: 3\r\n",
            b"Content-Length: 2, 3\r\n", b"Content-Length: 0x2\r\n",
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
            b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
        ],
    )  # fmt: skip
    def test_unclear_framing_is_refused(self, either: Served, lines: bytes) -> None:
        before = len(either.inner.requests)
        assert send(either, HEAD + lines + b"\r\n{}").status in (400, 501)
        assert len(either.inner.requests) == before


class TestChunked:
    def test_arrives_whole_with_its_length(self, either: Served) -> None:
        answer = send(either, CHUNKED, chunk(b"ab"), chunk(b"c" * 300), b"0\r\n\r\n")
        assert answer.json()["body"] == "ab" + "c" * 300
        assert headers_seen(answer)["content-length"] == "302"
        assert "transfer-encoding" not in headers_seen(answer)

    def test_an_empty_one_has_length_zero(self, either: Served) -> None:
        assert headers_seen(send(either, CHUNKED, b"0\r\n\r\n"))["content-length"] == "0"

    def test_up_to_the_limit_passes(self, either: Served) -> None:
        pieces = [chunk(b"x" * 1024)] * 2
        assert send(either, CHUNKED, *pieces, b"0\r\n\r\n").status == 200

    def test_beyond_is_refused_as_soon_as_it_is_known(self, either: Served) -> None:
        answer = send(either, CHUNKED, chunk(b"x" * 2048), chunk(b"y"))
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert answer.one("connection") == "close"

    def test_a_client_that_never_ends_is_cut_off(self, either: Served) -> None:
        begun = time.perf_counter()
        with either.connect() as connection:
            connection.sendall(CHUNKED + chunk(b"x" * 2049))
            data = connection.makefile("rb").read()
        assert data.startswith(b"HTTP/1.1 413")
        assert time.perf_counter() - begun < within(1)

    def test_a_refusal_for_another_reason_closes_the_connection(self, either: Served) -> None:
        answer = send(either, CHUNKED.replace(b"/echo", b"//echo"), chunk(b"x"))
        assert (answer.status, answer.one("connection")) == (404, "close")


class TestSlowClients:
    @pytest.mark.parametrize(
        "start", [HEAD + b"Content-Length: 9\r\n\r\nab", CHUNKED + chunk(b"ab"), CHUNKED]
    )
    def test_a_body_that_stalls_times_out(self, either: Served, start: bytes) -> None:
        begun = time.perf_counter()
        answer = send(either, start)
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert answer.one("connection") == "close"
        assert time.perf_counter() - begun < within(1)

    def test_a_body_that_drips_times_out_in_all(self, either: Served) -> None:
        drops = [b"x"] * 10
        answer = send(either, HEAD + b"Content-Length: 2000\r\n\r\n", *drops, pause=0.05)
        assert answer.status == 408

    def test_many_of_them_delay_nobody_else(self, either: Served) -> None:
        stalled = [either.connect() for _ in range(100)]
        for connection in stalled:
            connection.sendall(HEAD + b"Content-Length: 9\r\n\r\n")
        begun = time.perf_counter()
        assert either.request("/healthz").status == 200
        assert time.perf_counter() - begun < within(0.3)
        for connection in stalled:
            connection.close()

    def test_a_client_that_leaves_half_way_is_forgotten(self, either: Served) -> None:
        before = len(either.inner.requests)
        with either.connect() as connection:
            connection.sendall(HEAD + b"Content-Length: 9\r\n\r\nab")
        time.sleep(0.1)
        assert len(either.inner.requests) == before
        assert either.request().status == 200


class TestExpectContinue:
    def test_is_told_to_go_on_when_the_body_is_welcome(self, either: Served) -> None:
        with either.connect() as connection:
            connection.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
            connection.sendall(b"{}")
            assert read_answer(connection).json()["body"] == "{}"

    def test_is_refused_at_once_when_it_is_not(self, either: Served) -> None:
        with either.connect() as connection:
            connection.sendall(HEAD + b"Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n")
            data = connection.makefile("rb").read()
        assert data.startswith(b"HTTP/1.1 413")


def test_a_refusal_with_a_small_body_keeps_the_connection(either: Served) -> None:
    bad = b"POST //echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"
    good = b"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n"
    with either.connect() as connection:
        connection.sendall(bad)
        assert read_answer(connection).status == 404
        connection.sendall(good)
        assert read_answer(connection).status == 200
