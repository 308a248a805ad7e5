"""Flask behind Connexion: the views, and the bridge from ASGI.

The bridge is one hop to a thread and back. The body was read and parsed before, so WSGI's input
stays empty, and replies are small: both directions need no streaming.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import flask
from connexion.middleware.abstract import SpecMiddleware
from starlette.types import Receive, Scope, Send
from werkzeug.test import create_environ

from bugtracker.contract import Contract
from bugtracker.routing import Endpoint, Handler
from bugtracker.runtime import Runtime
from bugtracker.validation import query_defaults


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
            await self._answer(scope, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Nothing to start; at the end the threads are let go."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._executor.shutdown(wait=False)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, send: Send) -> None:
        loop = asyncio.get_running_loop()
        status, headers, body = await loop.run_in_executor(
            self._executor, copy_context().run, self._respond, scope
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _respond(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            started[:] = [int(status[:3]), headers]

        chunks: Iterable[bytes] = self.flask.wsgi_app(_environ(scope), start_response)
        try:
            body = b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()
        status, headers = started
        raw = [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in headers]
        return status, raw, body


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
    for operation in contract.operations.values():
        view = Endpoint(
            operation, handlers[operation.id], runtime, query_defaults(operation, contract)
        )
        app.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            operation.id,
            view,
            methods=[operation.method.upper()],
            provide_automatic_options=False,
        )
    return app
