"""Flask behind Connexion: the views, and the bridge from ASGI.

The bridge is one hop to a thread and back. The body was read and parsed before, so WSGI's input
stays empty. Replies are small and sent whole, but for those that routing marks as streamed: each
piece of them is made in a thread, which nobody holds while the client reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import flask
from connexion.middleware.abstract import SpecMiddleware
from starlette.types import Receive, Scope, Send
from werkzeug.test import create_environ

from bugtracker.callerlimit import limiter_for
from bugtracker.contract import Contract
from bugtracker.routing import STREAMED, Endpoint, Handler
from bugtracker.runtime import Runtime
from bugtracker.validation import query_defaults

InThread = Callable[..., Awaitable[Any]]


class StreamBroken(Exception):
    """A reply failed after it had begun. Not an error to answer with: the edge logs it, and the
    server cuts the connection, so that the client sees that the rest is missing."""


class FlaskBackend(SpecMiddleware):
    """Runs the operations' views in threads. Innermost application of the Connexion stack."""

    def __init__(
        self, contract: Contract, handlers: Mapping[str, Handler], runtime: Runtime
    ) -> None:
        self._executor = ThreadPoolExecutor(runtime.settings.threads, "handler")
        self.flask = _flask_app(contract, handlers, runtime)

    def add_api(self, specification: Any, **kwargs: Any) -> None:
        """The routes are already made from the contract."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Nothing to start; at the end the threads are let go."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._executor.shutdown(wait=False)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop, context = asyncio.get_running_loop(), copy_context()

        async def in_thread(work: Callable[..., Any], argument: Any) -> Any:
            run = partial(context.run, work, argument)
            return await loop.run_in_executor(self._executor, run)

        status, headers, body = await in_thread(self._respond, scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": body})
        elif scope["state"].get("is_head"):
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._stream(body, in_thread, receive, send)

    async def _stream(
        self, chunks: Iterator[bytes], in_thread: InThread, receive: Receive, send: Send
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

    def _respond(
        self, scope: Scope
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes | Iterator[bytes]]:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            started[:] = [int(status[:3]), headers]

        environ = _environ(scope)
        chunks = self.flask.wsgi_app(environ, start_response)
        body: bytes | Iterator[bytes] = iter(chunks)
        if STREAMED not in environ:
            try:
                body = b"".join(chunks)
            finally:
                getattr(chunks, "close", lambda: None)()
        status, headers = started
        raw = [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in headers]
        return status, raw, body


def _next(chunks: Iterator[bytes]) -> bytes | None:
    try:
        return next(chunks, None)
    except Exception as error:
        raise StreamBroken("a reply broke off in the middle") from error


def _environ(scope: Scope) -> dict[str, Any]:
    environ = create_environ(
        path=scope["path"],
        query_string=scope["query_string"].decode("ascii"),
        method=scope["method"],
        headers=[(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]],
    )
    environ["asgi.scope"] = scope
    return environ


def _flask_app(
    contract: Contract, handlers: Mapping[str, Handler], runtime: Runtime
) -> flask.Flask:
    app = flask.Flask("bugtracker", static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    limit = limiter_for(app, runtime)
    for operation in contract.operations.values():
        view = Endpoint(
            operation, handlers[operation.id], runtime, query_defaults(operation, contract)
        )
        app.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            operation.id,
            limit(operation, view),
            methods=[operation.method.upper()],
            provide_automatic_options=False,
        )
    return app
