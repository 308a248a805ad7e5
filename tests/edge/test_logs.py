"""What is logged, and what never is."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from bugtracker.logs import configure_logging
from bugtracker.settings import Settings

from .serving import Served


@contextmanager
def logging_to(**given: Any) -> Iterator[io.StringIO]:
    """Logs go to the stream that is yielded; afterwards everything is as before."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    configure_logging(Settings(**{"database_url": None, "log_format": "json", **given}), stream)
    try:
        yield stream
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The log, parsed."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logging_to() as stream:
        yield stream


class TestRequestLine:
    def test_says_what_happened(self, served: Served, log: io.StringIO) -> None:
        answer = served.request("/echo?a=b")
        (line,) = lines(log)
        assert line.pop("timestamp").endswith("Z")
        assert line.pop("duration_ms") > 0
        assert line == {
            "event": "request",
            "level": "info",
            "method": "GET",
            "path": "/echo",
            "status": 200,
            "request_id": answer.one("x-request-id"),
            "client_ip": "127.0.0.1",
        }

    def test_names_operation_and_account_when_they_are_known(
        self, served: Served, log: io.StringIO
    ) -> None:
        served.request("/known")
        (line,) = lines(log)
        assert (line["operation_id"], line["account_id"], line["org_id"]) == (
            "get_known", "a1", "o1",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("target", "code"),
        [("//", "resource_not_found"), ("/boom", "internal_error"), ("/echo", None)],
    )
    def test_names_the_code_of_a_refusal(
        self, served: Served, log: io.StringIO, target: str, code: str | None
    ) -> None:
        served.request(target)
        (line,) = (line for line in lines(log) if line["event"] == "request")
        assert line.get("code") == code

    @pytest.mark.parametrize(
        ("target", "status"), [("//", 404), ("/%0a%ff", 400), ("/boom", 500), ("/echo", 200)]
    )
    def test_is_there_once_for_every_request(
        self, served: Served, log: io.StringIO, target: str, status: int
    ) -> None:
        served.request(target)
        (line,) = (line for line in lines(log) if line["event"] == "request")
        assert (line["path"], line["status"]) == (target, status)

    def test_a_head_request_is_logged_as_such(self, served: Served, log: io.StringIO) -> None:
        served.request("/echo", method="HEAD")
        assert lines(log)[0]["method"] == "HEAD"

    def test_holds_no_header_body_or_query(self, served: Served, log: io.StringIO) -> None:
        for target in ("/echo?token=canary1", "//?q=canary2", "/boom?q=canary3"):
            served.post(
                b'{"password": "canary4"}',
                "Authorization: Bearer canary5",
                "Cookie: canary6",
                "User-Agent: canary7",
                target=target,
            )
        assert len(lines(log)) >= 3
        assert "canary" not in log.getvalue()

    def test_cannot_be_forged(self, served: Served, log: io.StringIO) -> None:
        served.request('/a%0a{"event":"forged"}')
        assert [line["event"] for line in lines(log)] == ["request"]


class TestConfiguration:
    def test_the_standard_library_is_included(self, log: io.StringIO) -> None:
        structlog.contextvars.bind_contextvars(request_id="the-request")
        logging.getLogger("some.library").warning("disk %s", "full")
        logging.getLogger("uvicorn.error").error("broken")
        first, second = lines(log)
        assert (first["event"], first["level"], first["logger"]) == (
            "disk full", "warning", "some.library",
        )  # fmt: skip
        assert second["event"] == "broken"
        assert {first["request_id"], second["request_id"]} == {"the-request"}

    def test_access_logs_of_server_and_client_libraries_are_off(self, log: io.StringIO) -> None:
        logging.getLogger("uvicorn.access").info('"GET /?token=canary HTTP/1.1" 200')
        logging.getLogger("httpx").info("HTTP Request: GET http://x/?token=canary")
        assert log.getvalue() == ""
        assert not logging.getLogger("uvicorn.access").propagate

    @pytest.mark.parametrize("form", ["json", "console"])
    def test_tracebacks_hold_no_local_variables(self, form: str) -> None:
        def fail() -> None:
            secret = "".join(["can", "ary"])
            raise ValueError(len(secret))

        with logging_to(log_format=form) as stream:
            for logger in (structlog.get_logger(), logging.getLogger("library")):
                try:
                    fail()
                except ValueError:
                    logger.exception("failed")
        assert stream.getvalue().count("ValueError: 6") == 2
        assert "canary" not in stream.getvalue()

    @pytest.mark.parametrize("name", ["password", "new_password", "refresh_token", "Authorization"])
    def test_secret_fields_are_masked(self, log: io.StringIO, name: str) -> None:
        structlog.get_logger().info("event", **{name: "canary"}, harmless="kept")
        assert lines(log)[0][name] == "***"
        assert lines(log)[0]["harmless"] == "kept"

    def test_the_level_is_a_setting(self) -> None:
        with logging_to(log_level="ERROR") as stream:
            structlog.get_logger().warning("a")
            logging.getLogger("b").warning("b")
            structlog.get_logger().error("c")
        assert [line["event"] for line in lines(stream)] == ["c"]

    def test_the_console_form_is_plain_text(self) -> None:
        with logging_to(log_format="console") as stream:
            structlog.get_logger().info("started", port=8000)
        assert re.search(r"info .* started .* port=8000", stream.getvalue())

    def test_anything_can_be_logged(self, log: io.StringIO) -> None:
        structlog.get_logger().info("event", value=object(), big=2**80, text="\udc80")
        assert lines(log)[0]["event"] == "event"
