"""What happens when the application behind the edge fails, and what the log says of it."""

import asyncio
import http.client
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker.edge import Edge
from bugtracker.errors import ProjectArchived
from bugtracker.messages import _
from bugtracker.settings import Settings

from .serving import Served, serving
from .test_logs import lines, logging_to


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logging_to() as stream:
        yield stream


@pytest.mark.parametrize("path", ["/boom", "/silent"])
def test_a_failure_before_the_answer_is_a_500_that_says_nothing(
    served: Served, log: io.StringIO, path: str
) -> None:
    answer = served.request(path)
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"RuntimeError" not in answer.body
    assert b"inner" not in answer.body
    (error,) = (line for line in lines(log) if line["event"] == "request_failed")
    assert error["request_id"] == answer.one("x-request-id")
    assert "RuntimeError" in error["exception"]


def test_a_failure_after_the_answer_began_cuts_the_connection(
    served: Served, log: io.StringIO
) -> None:
    with pytest.raises(http.client.IncompleteRead):
        served.request("/late")
    assert [line["event"] for line in lines(log)].count("request_failed") == 1
    assert served.request().status == 200


def test_a_client_that_leaves_is_no_error(served: Served, log: io.StringIO) -> None:
    served.inner.disconnected.clear()
    with served.connect() as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.1)
    assert served.inner.disconnected.wait(5)
    deadline = time.monotonic() + 5
    while not any(line["event"] == "request" for line in lines(log)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert {line["level"] for line in lines(log)} == {"info"}
    assert lines(log)[-1]["status"] == 499


def test_websockets_are_refused(served: Served) -> None:
    answer = served.request(
        "/echo", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )  # fmt: skip
    assert answer.status == 403


class TestWithoutAServer:
    """Cases that no client can bring about."""

    def call(self, app: ASGIApp, scope: Scope | None = None) -> list[Message]:
        nowhere: dict[str, Any] = {"database_url": None, "redis_url": None}
        edge = Edge(app, Settings(**nowhere), methods_of=None)
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        plain: Scope = {"type": "http", "method": "GET", "path": "/ä", "query_string": b""}
        asyncio.run(edge({**plain, "headers": [], **(scope or {})}, receive, send))
        return sent

    def test_an_error_that_escaped_the_inner_layers_keeps_its_status(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise ProjectArchived(_("It is archived."))

        assert self.call(app, {"path": "/a"})[0]["status"] == 409

    def test_cancellation_passes(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            self.call(app, {"path": "/a"})

    def test_a_server_may_leave_out_raw_path_client_and_state(self) -> None:
        seen: list[Scope] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope)
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        start = self.call(app, {"path": "/a"})[0]
        assert seen[0]["state"]["client_ip"] == "unknown"
        assert seen[0]["state"]["request_id"].encode() in dict(start["headers"]).values()


def test_start_and_stop_reach_the_application() -> None:
    with serving() as server:
        assert server.request().status == 200
