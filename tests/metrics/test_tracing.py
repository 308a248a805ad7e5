"""Traces, as a collector gets them."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bugtracker import tracing as module
from bugtracker.app import create_app
from bugtracker.contract import Contract
from bugtracker.jobs.measuring import measured
from bugtracker.opening import Opened, Opening
from bugtracker.runtime import Runtime
from bugtracker.security.authentication import LIVE_SESSION
from bugtracker.tracing import traced, tracing
from tests.edge.test_logs import lines, logging_to
from tests.serving import serve
from tests.world import Org

CANARY = "canary-71d0"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """An OTLP receiver: its address, and the spans it got."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def with_endpoint(runtime: Runtime, endpoint: str) -> Runtime:
    settings = runtime.settings.model_copy(update={"otlp_endpoint": endpoint})
    return Runtime(**{**vars(runtime), "settings": settings})


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logging_to() as stream:
        yield stream


class TestTracing:
    def test_a_request_and_its_statements_are_one_trace(
        self, runtime: Runtime, contract: Contract, org: Org, log: io.StringIO
    ) -> None:
        project = org.manager.create_project()
        given = "0af7651916cd43dd8448eb211c80319c"
        headers = {**org.auditor.authorization, "traceparent": f"00-{given}-b7ad6b7169203331-00"}
        with collector() as (endpoint, spans):
            watched = with_endpoint(runtime, endpoint)
            with (
                tracing(watched, "bugtracker-api"),
                serve(create_app(watched, contract)) as server,
                httpx.Client(base_url=server.url, headers=headers) as http,
            ):
                log.truncate(0)
                log.seek(0)
                path = f"/api/projects/{project['id']}"
                assert http.get(path).status_code == 200
        (request,) = (span for span in spans if span.name == "GET get_project")
        assert request.trace_id.hex() == given
        found = attributes(request)
        assert found["http.response.status_code"] == 200
        assert found["bugtracker.org_id"] == str(org.id)
        statements = [span for span in spans if span.parent_span_id == request.span_id]
        (asked,) = (attributes(span)["db.query.text"] for span in statements)
        assert asked.startswith(LIVE_SESSION.sql)
        assert "FROM projects" in asked
        for value in (project["id"], str(org.id), str(org.auditor.session_id)):
            assert value not in asked
        (line,) = [line for line in lines(log) if line["event"] == "request"]
        assert line["trace_id"] == given
        assert line["request_id"] == found["bugtracker.request_id"]

    def test_an_error_of_the_database_leaves_no_row_in_a_trace(self, runtime: Runtime) -> None:
        def job() -> None:
            with runtime.db.transaction() as session:
                session.execute(text("SELECT CAST(:value AS integer)"), {"value": CANARY})

        with collector() as (endpoint, spans):
            watched = with_endpoint(runtime, endpoint)
            with tracing(watched, "bugtracker-worker"), pytest.raises(DBAPIError):
                measured("mail.test", job)()
        assert "job mail.test" in {span.name for span in spans}
        (failed,) = (s for s in spans if "db.response.status_code" in attributes(s))
        assert attributes(failed)["db.response.status_code"] == "22P02"
        assert CANARY not in "".join(map(str, spans))

    def test_an_opening_that_fails_says_so_in_its_span(self, runtime: Runtime) -> None:
        opened = Opened(runtime.db)
        with collector() as (endpoint, spans):
            watched = with_endpoint(runtime, endpoint)
            with tracing(watched, "bugtracker-api"), pytest.raises(DBAPIError):
                opened.begin(Opening("SELECT {value}::date"), value=CANARY.encode())
        opened.close()
        (failed,) = spans
        assert attributes(failed)["db.response.status_code"] == "42846"
        assert attributes(failed)["db.query.text"] == "SELECT {value}::date"
        assert CANARY.encode().hex() not in str(failed)

    def test_costs_nothing_when_it_is_off(self, runtime: Runtime) -> None:
        async def app(*_: Any) -> None:
            """Never called."""

        with tracing(runtime, "bugtracker-api"):
            assert traced(app) is app
            assert module._tracer is None

    def test_a_collector_that_is_away_hinders_nobody(
        self, runtime: Runtime, contract: Contract
    ) -> None:
        watched = with_endpoint(runtime, "http://127.0.0.1:1")
        with (
            tracing(watched, "bugtracker-api"),
            serve(create_app(watched, contract)) as server,
        ):
            assert httpx.get(f"{server.url}/healthz").status_code == 200
