"""From the event loop into threads: each request runs whole in one, through all layers inside.

Nothing in there waits on the event loop, so its coroutine is run to its end in one step: one hop
to a thread and back for security, validation and handler together. What must be done on the event
loop (limits in Redis) is asked of it by :func:`on_loop`. A body that is sent as it is made is the
exception: each piece of it is made in a thread, which nobody holds while the client reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker.workers import Workers

T = TypeVar("T")
InThread = Callable[..., Awaitable[Any]]

LOOP = "loop"
"""Where the ASGI state has the event loop."""

OPENED = "opened"
"""Where the ASGI state has what must be closed when the request leaves its thread."""

LOOP_SECONDS = 10.0

STREAM = "stream"
"""Where the ASGI state has the pieces of a body that is sent as it is made."""


class StreamBroken(Exception):
    """A reply failed after it had begun. Not an error to answer with: the edge logs it, and the
    server cuts the connection, so that the client sees that the rest is missing."""


class RequestThreads:
    """ASGI middleware around what runs in threads."""

    def __init__(self, app: ASGIApp, workers: Workers) -> None:
        self._app = app
        self._workers = workers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._live(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            # Before the server hears of it: it would not wait for what is done behind.
            if message["type"] == "lifespan.shutdown.complete":
                await asyncio.to_thread(self._workers.stop)
            await send(message)

        await self._app(scope, receive, sending)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = copy_context()

        def in_thread(work: Callable[..., Any], argument: Any) -> Awaitable[Any]:
            return self._workers.run(partial(context.run, work, argument))

        scope["state"][LOOP] = asyncio.get_running_loop()
        # After the body, the next thing to be received is that the client has left.
        body = await _read_body(receive)
        for message in await in_thread(partial(self._run, scope), body):
            await send(message)
        stream = scope["state"].pop(STREAM, None)
        if stream is not None and scope["state"].get("is_head"):
            await send({"type": "http.response.body", "body": b""})
        elif stream is not None:
            await _send_stream(stream, in_thread, receive, send)

    def _run(self, scope: Scope, body: bytes) -> list[Message]:
        """The messages of the whole answer, or of its start where a stream follows."""
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            messages.append(message)

        try:
            _run_through(self._app(scope, receive, send))
        finally:
            opened = scope["state"].pop(OPENED, None)
            if opened is not None:
                opened.close()
        return messages


async def _read_body(receive: Receive) -> bytes:
    chunks = []
    while (message := await receive())["type"] == "http.request":
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _run_through(coroutine: Any) -> None:
    """RuntimeError where the coroutine waits for something."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("a layer waits on the event loop, from a thread")


def on_loop(scope: Scope, coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that runs on the event loop, while this thread waits for it.

    TimeoutError after LOOP_SECONDS: a loop that is stopped in this moment never answers, and a
    thread that waits for ever would keep the process from ending."""
    future = asyncio.run_coroutine_threadsafe(coroutine, scope["state"][LOOP])
    return future.result(LOOP_SECONDS)


async def _send_stream(
    chunks: Iterator[bytes], in_thread: InThread, receive: Receive, send: Send
) -> None:
    """Sends a body as it is made, until it ends or the client leaves."""
    gone = asyncio.ensure_future(receive())
    try:
        while (chunk := await in_thread(_next, chunks)) is not None:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


def _next(chunks: Iterator[bytes]) -> bytes | None:
    try:
        return next(chunks, None)
    except Exception as error:
        raise StreamBroken("a reply broke off in the middle") from error
