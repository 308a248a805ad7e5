"""Requests that wait: answered, asked again when something has happened, or when time is up.

Stands around Connexion. A request runs as always; where its handler has found nothing and says so
(``Reply.wait``), its answer is dropped, its thread and its connection are free, and only a task of
the event loop waits. Then the request runs once more through all layers, from where it had got to:
who has lost their session or their role meanwhile is refused like anybody else.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker.edge.protocol import END_WAIT
from bugtracker.feed.watch import Waiter, Watch
from bugtracker.routing import WAIT

ASKS_TO_WAIT = b"wait="


class LongPolls:
    """ASGI middleware; ``watch`` knows when something has happened."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ASKS_TO_WAIT in scope["query_string"]:
            await self._patiently(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _patiently(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = _FirstAnswer(scope, send, self._watch)
        try:
            await self._app(dict(scope), receive, first.send)
            if first.waiter is None or not await _woken(scope, first.waiter, receive):
                return
        finally:
            if first.waiter is not None:
                self._watch.leave(first.waiter)
        query = first.waiter.wait.query.encode()
        await self._app({**scope, "query_string": query}, _no_body, send)


class _FirstAnswer:
    """Lets an answer through, unless it can wait and there is a place to."""

    def __init__(self, scope: Scope, send: Send, watch: Watch) -> None:
        self._state = scope["state"]
        self._send = send
        self._watch = watch
        self.waiter: Waiter | None = None

    async def send(self, message: Message) -> None:
        wait = self._state.pop(WAIT, None)
        if wait is not None and not self._state["is_head"]:
            self.waiter = self._watch.enter(wait)
        if self.waiter is None:
            await self._send(message)


async def _woken(scope: Scope, waiter: Waiter, receive: Receive) -> bool:
    """Waits until it is time to ask again. False: nobody is there to be answered."""
    gone = asyncio.ensure_future(receive())
    gone.add_done_callback(lambda _: waiter.woken.set())
    # Called when the server is told to stop.
    scope["state"][END_WAIT] = waiter.woken.set
    try:
        async with asyncio.timeout(waiter.wait.seconds):
            await waiter.woken.wait()
    except TimeoutError:
        pass
    finally:
        del scope["state"][END_WAIT]
        left = gone.done()
        gone.cancel()
    return not left


async def _no_body() -> Message:
    """What a request without a body receives."""
    return {"type": "http.request", "body": b"", "more_body": False}
