"""Bytes that are not HTTP, which the server refuses before the edge is called."""

import socket
from collections.abc import Iterator

import pytest

from bugtracker.edge.protocol import EdgeProtocol

from .serving import Served, read_answer, serving
from .test_answers import assert_secure


@pytest.fixture(scope="module")
def bare() -> Iterator[Served]:
    with serving(http_implementation=EdgeProtocol) as server:
        yield server


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: t\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: t\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_get_the_same_kind_of_answer_as_everything_else(bare: Served, data: bytes) -> None:
    with bare.connect() as connection:
        connection.sendall(data)
        answer = read_answer(connection)
    assert (answer.status, answer.code) == (400, "request_malformed")
    assert answer.one("connection") == "close"
    assert_secure(answer)


def test_who_says_that_there_will_be_no_more_is_answered(bare: Served) -> None:
    for _ in range(20):
        with bare.connect() as connection:
            connection.sendall(b"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert read_answer(connection).status == 200


def test_honest_requests_are_served(bare: Served) -> None:
    assert bare.post(b"{}", "Content-Type: application/json").json()["body"] == "{}"
