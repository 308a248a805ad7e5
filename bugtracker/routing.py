"""The way from an operation to its handler: one transaction, one context, one reply."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import flask
import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.types import Scope

from bugtracker import idempotency
from bugtracker.answers import Answer, as_flask
from bugtracker.clock import utc_now
from bugtracker.conditional import etag, not_modified
from bugtracker.context import Context, Reply
from bugtracker.contract import Contract, Operation
from bugtracker.db_errors import as_app_error
from bugtracker.errors import AppError, problem_bytes, problem_headers
from bugtracker.idempotency import Claim
from bugtracker.language import Translator, language_headers, language_of
from bugtracker.middleware import ValidatedRequest
from bugtracker.runtime import Runtime
from bugtracker.threads import OPENED, STREAM

Handler = Callable[..., Reply]
State = dict[str, Any]
"""What the layers know of a request."""

JSON = orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_SUBCLASS

WAIT = "wait"
"""Set in the ASGI state where an answer would rather wait than say nothing."""


def handlers_of(contract: Contract) -> dict[str, Handler]:
    """The handler of each operation: function ``operationId`` in ``handlers/<first tag>.py``."""
    return {operation.id: _handler(operation) for operation in contract.operations.values()}


def _handler(operation: Operation) -> Handler:
    module = importlib.import_module(f"bugtracker.handlers.{operation.tags[0]}")
    handler: Handler = getattr(module, operation.id)
    return handler


class Endpoint:
    """One handler, and all that is alike around handlers. Also Flask's view of it.

    Opens nothing itself: the context's session begins on first use, is committed after the
    handler and rolled back on a refusal, unless the refusal says that its trace must stay.
    """

    def __init__(
        self, operation: Operation, handler: Handler, runtime: Runtime, defaults: Mapping[str, Any]
    ) -> None:
        self._operation = operation
        self._handler = handler
        self._runtime = runtime
        self._defaults = dict(defaults)
        # Flask tells views apart by these.
        self.__name__ = self.__qualname__ = operation.id

    def __call__(self, **_: str) -> flask.Response:
        return as_flask(self.answer(flask.request.environ["asgi.scope"]))

    def answer(self, scope: Scope) -> Answer:
        """The answer to a validated request, refusals included."""
        state = scope["state"]
        request: ValidatedRequest = state["validated"]
        ctx = self._context(scope, request)
        try:
            return idempotency.once(ctx, request.path, partial(self._run, ctx, state, request.path))
        except AppError as error:
            return problem_response(error, state)
        except (DBAPIError, PoolTimeout) as error:
            return problem_response(as_app_error(error), state)

    def _run(
        self, ctx: Context, state: State, path: Mapping[str, Any], claim: Claim | None
    ) -> Answer:
        try:
            answer = response(self._handler(ctx, **path), ctx, state)
            if claim is not None:
                idempotency.keep(ctx, claim, answer)
            ctx.commit()
        except AppError as error:
            if error.commits:
                ctx.commit()
            raise
        finally:
            ctx.close()
        return answer

    def _context(self, scope: Scope, request: ValidatedRequest) -> Context:
        state = scope["state"]
        return Context(
            runtime=self._runtime,
            operation=self._operation,
            caller=state.get("principal"),
            now=utc_now(),
            request_id=state["request_id"],
            client_ip=state["client_ip"],
            user_agent=_user_agent(scope),
            target=scope["path"],
            query={**self._defaults, **request.query},
            given_query=request.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.body,
            partner=state.get("partner"),
            accept_language=state["accept_language"],
            opened=state.get(OPENED),
        )


def _user_agent(scope: Scope) -> str | None:
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"]
    return ", ".join(given) or None


def response(reply: Reply, ctx: Context, state: State) -> Answer:
    """The HTTP response of a reply, with ETag and 304 where it is an item."""
    if reply.stream is not None:
        return _streamed(reply, reply.stream, state)
    if reply.wait is not None:
        state[WAIT] = reply.wait
    translator = Translator(lambda: ctx.language)
    content = b"" if reply.body is None else orjson.dumps(reply.body, translator, JSON)
    headers = dict(reply.headers)
    if translator.language is not None:
        headers |= language_headers(translator.language)
    status = reply.status
    if reply.version is not None:
        tag = etag(reply.version, content)
        headers |= {"ETag": tag, "Cache-Control": "private, no-cache"}
        if status == 200 and not_modified(ctx.headers.get("if-none-match"), tag):
            status, content = 304, b""
    if content:
        headers["Content-Type"] = reply.media_type
    return Answer(status, content, headers)


def _streamed(reply: Reply, chunks: Iterator[bytes], state: State) -> Answer:
    """A body that is made while it is sent. Its first piece is made now: what fails at once is
    still answered as an error."""
    first = next(chunks, b"")
    state[STREAM] = chain((first,), chunks)
    return Answer(reply.status, headers=reply.headers, is_streamed=True)


def problem_response(error: AppError, state: State) -> Answer:
    """The HTTP response of a refusal."""
    # Of an answer whose transaction failed in the end: nobody gets what was not committed.
    state.pop(STREAM, None)
    language = language_of(state)
    return Answer(
        error.status,
        problem_bytes(error, state, language),
        problem_headers(error, language),
    )
