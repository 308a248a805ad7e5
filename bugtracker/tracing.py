"""Traces by OpenTelemetry, for those who set BUGTRACKER_OTLP_ENDPOINT; nothing is loaded otherwise.

A span for each request with its operation, one for each statement with its text, one for each job.
Never a value: the instrumentation for SQLAlchemy there is puts PostgreSQL's errors into spans, and
those quote whole rows. So the statements' spans are made here.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker import __version__
from bugtracker.runtime import Runtime

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_tracer: "Tracer | None" = None
_UNTRACED = nullcontext()

_NO_TEXTS: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False}
"""What exceptions say may hold rows and values."""


@contextmanager
def tracing(runtime: Runtime, service: str) -> Iterator[None]:
    """Traces what is put together within the block, and sends the last of it at the end.
    ImportError where the packages of the extra ``tracing`` are missing."""
    global _tracer
    if runtime.settings.otlp_endpoint is None:
        yield
        return
    provider = _provider(runtime, service)
    _tracer = provider.get_tracer("bugtracker", __version__)
    listeners = _Statements(runtime.db.engine, _tracer)
    try:
        yield
    finally:
        _tracer = None
        listeners.remove()
        provider.shutdown()


def traced(app: ASGIApp) -> ASGIApp:
    """The application with a span around each request; the very same where nothing is traced."""
    return app if _tracer is None else _Requests(app, _tracer)


def job_span(task: str) -> AbstractContextManager[Any]:
    """A span around the run of a job."""
    return nullcontext() if _tracer is None else _job_span(_tracer, task)


def statement_span(sql: str) -> AbstractContextManager[Any]:
    """A span around a statement that SQLAlchemy does not know of; ``sql`` holds no values."""
    return _UNTRACED if _tracer is None else _statement_span(_tracer, sql)


@contextmanager
def _statement_span(tracer: "Tracer", sql: str) -> Iterator[None]:
    span = _begun(tracer, sql)
    try:
        yield
    except DBAPIError as error:
        _mark_failed(span, error.orig)
        raise
    finally:
        span.end()


def _begun(tracer: "Tracer", sql: str) -> "Span":
    from opentelemetry.trace import SpanKind

    span = tracer.start_span(sql.split(None, 1)[0].upper(), kind=SpanKind.CLIENT)
    span.set_attribute("db.system.name", "postgresql")
    # Its text has places for values, not values.
    span.set_attribute("db.query.text", sql)
    return span


def _mark_failed(span: "Span", error: BaseException | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("db.response.status_code", getattr(error, "sqlstate", None) or "none")
    span.set_status(Status(StatusCode.ERROR))


@contextmanager
def _job_span(tracer: "Tracer", task: str) -> Iterator[None]:
    from opentelemetry.trace import Status, StatusCode

    with tracer.start_as_current_span(f"job {task}", **_NO_TEXTS) as span:
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def _provider(runtime: Runtime, service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    resource = Resource.create({"service.name": service, "service.version": __version__})
    # By our own ratio also where the caller has a trace: strangers do not decide what we keep.
    sampler = TraceIdRatioBased(runtime.settings.trace_ratio)
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    endpoint = f"{runtime.settings.otlp_endpoint}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=2)))
    return provider


class _Requests:
    """Outermost: the trace's id is on every line that is logged within."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        given = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        parent = TraceContextTextMapPropagator().extract(given)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with self._tracer.start_as_current_span(
            scope["method"], parent, SpanKind.SERVER, **_NO_TEXTS
        ) as span:
            trace_id = f"{span.get_span_context().trace_id:032x}"
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                await self._app(scope, receive, sending)
            state = scope["state"]
            span.update_name(f"{scope['method']} {state['operation']}")
            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("http.response.status_code", status)
            for name in ("operation", "request_id", "org_id", "account_id"):
                if state.get(name) is not None:
                    span.set_attribute(f"bugtracker.{name}", str(state[name]))
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))


class _Statements:
    """Listens to an engine, for as long as it is traced."""

    def __init__(self, engine: Engine, tracer: "Tracer") -> None:
        self._engine, self._tracer = engine, tracer
        self._listeners = (
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("handle_error", self._failed),
        )
        for name, listener in self._listeners:
            event.listen(engine, name, listener)

    def remove(self) -> None:
        """Stops listening."""
        for name, listener in self._listeners:
            event.remove(self._engine, name, listener)

    def _before(
        self, _c: Any, _cursor: Any, statement: str, _p: Any, context: Any, *_: Any
    ) -> None:
        context.bugtracker_span = _begun(self._tracer, statement)

    def _after(self, _c: Any, _cursor: Any, _s: str, _p: Any, context: Any, *_: Any) -> None:
        context.bugtracker_span.end()

    def _failed(self, failure: Any) -> None:
        span = getattr(failure.execution_context, "bugtracker_span", None)
        if span is not None:
            _mark_failed(span, failure.original_exception)
            span.end()
