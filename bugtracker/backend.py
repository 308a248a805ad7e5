"""Behind Connexion: the operations, called in the request's thread.

Those that flask-limiter limits are views of a Flask application, behind a bridge from ASGI: the
body was read and parsed before, so WSGI's input stays empty. All others are called at once: Flask
would look for their route once more, and keep contexts that nobody asks for, which took a quarter
of the time of a read.
"""

import sys
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

import flask
from connexion.middleware.abstract import SpecMiddleware
from starlette.types import Receive, Scope, Send

from bugtracker.answers import RawHeaders
from bugtracker.callerlimit import limiter_for
from bugtracker.contract import Contract
from bugtracker.routing import Endpoint, Handler
from bugtracker.runtime import Runtime
from bugtracker.threads import STREAM
from bugtracker.validation import query_defaults

NOTHING = BytesIO()


class FlaskBackend(SpecMiddleware):
    """Runs the operations' views. Innermost application of the Connexion stack."""

    def __init__(
        self, contract: Contract, handlers: Mapping[str, Handler], runtime: Runtime
    ) -> None:
        self._endpoints = {
            operation.id: Endpoint(
                operation, handlers[operation.id], runtime, query_defaults(operation, contract)
            )
            for operation in contract.operations.values()
        }
        self._contract = contract
        self._limited: set[str] = set()
        self.flask = self._flask_app(contract, runtime)

    def add_api(self, specification: Any, **kwargs: Any) -> None:
        """The routes are already made from the contract."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._answer(scope, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Nothing to start, and nothing to stop. By now all layers are made of the contract."""
        await receive()
        self._contract.forget()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, send: Send) -> None:
        operation_id = scope["extensions"]["connexion_routing"]["operation_id"]
        if operation_id in self._limited:
            status, headers, body = self._by_flask(scope)
        else:
            answer = self._endpoints[operation_id].answer(scope)
            status, headers, body = answer.status, answer.raw, answer.body
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if STREAM not in scope["state"]:
            await send({"type": "http.response.body", "body": body})

    def _by_flask(self, scope: Scope) -> tuple[int, RawHeaders, bytes]:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            started[:] = [int(status[:3]), _raw(headers)]

        chunks = self.flask.wsgi_app(_environ(scope), start_response)
        try:
            body = b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()
        return *started, body

    def _flask_app(self, contract: Contract, runtime: Runtime) -> flask.Flask:
        app = flask.Flask("bugtracker", static_folder=None)
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.url_map.merge_slashes = False
        app.url_map.strict_slashes = True
        limit = limiter_for(app, runtime)
        for operation in contract.operations.values():
            view = limit(operation, self._endpoints[operation.id])
            if view is not None:
                self._limited.add(operation.id)
                app.add_url_rule(
                    operation.path.replace("{", "<").replace("}", ">"),
                    operation.id,
                    view,
                    methods=[operation.method.upper()],
                    provide_automatic_options=False,
                )
        return app


def _raw(headers: Iterable[tuple[str, str]]) -> RawHeaders:
    return [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in headers]


def _environ(scope: Scope) -> dict[str, Any]:
    """What WSGI (PEP 3333) must say of a request. None of its headers: the views read the scope,
    and Flask would answer by itself, in HTML, where it cannot read a host, or sees a WebSocket."""
    return {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": NOTHING,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }
