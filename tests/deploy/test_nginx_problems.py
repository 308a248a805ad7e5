"""nginx's own refusals have the form of the API's."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from bugtracker import errors
from bugtracker.edge.exchange import SECURITY_HEADERS
from bugtracker.settings import Settings
from tests.deploy.proxy import SHIPPED, Proxy, proxy
from tests.edge.serving import Answer, read_answer
from tests.processes import free_port

OF_NGINX = {"bad_gateway", "gateway_timeout"}
"""The codes that the API does not have: only nginx can know of this."""


def hold_to_the_form(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert set(answer.json()) == {"type", "title", "status", "code", "detail", "request_id"}
    assert answer.json()["type"] == f"urn:bugtracker:problem:{code}"
    assert answer.one("content-language") == "en"
    for name, value in SECURITY_HEADERS:
        assert answer.one(name.decode()) == value.decode()
    known = {each.code: each for each in errors.all_errors()}
    assert (code in known) != (code in OF_NGINX)
    if code in known:
        assert (status, answer.json()["title"]) == (known[code].status, str(known[code].title))


def exchange(front: Proxy, request: bytes, *, encrypted: bool = True) -> Answer:
    """The answer to these bytes."""
    raw = socket.create_connection(("127.0.0.1", front.https_port), timeout=30)
    connection = front.trust.wrap_socket(raw, server_hostname="localhost") if encrypted else raw
    with closing(connection):
        connection.sendall(request)
        return read_answer(connection)


def request(target: str = "/healthz", *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


class TestRefusals:
    def test_each_has_the_form(self, front: Proxy) -> None:
        size = f"Content-Length: {2**20 + 1}"
        cases: list[tuple[bytes, int, str]] = [
            (request("/api/projects", size, method="POST"), 413, "body_too_large"),
            (request("/" + "x" * 20_000), 414, "uri_too_long"),
            (request("/healthz", "X-Long: " + "x" * 20_000), 400, "request_malformed"),
            (b"what is this\r\n\r\n", 400, "request_malformed"),
            (b"GET / HTTP/1.1\r\n\r\n", 400, "request_malformed"),
            (request(method="TRACE"), 405, "method_not_allowed"),
            (request("/metrics"), 404, "resource_not_found"),
            (request("/_problem"), 404, "resource_not_found"),
        ]
        for sent, status, code in cases:
            hold_to_the_form(exchange(front, sent), status, code)
        plain = exchange(front, request(), encrypted=False)
        hold_to_the_form(plain, 400, "request_malformed")

    def test_a_given_request_id_is_kept_where_it_is_one(self, front: Proxy) -> None:
        for given, kept in (("tide-table-1843", True), ("short", False), ('a"b' * 5, False)):
            answer = exchange(front, request("/metrics", f"X-Request-Id: {given}"))
            assert (answer.json()["request_id"] == given) is kept
            through = exchange(front, request("/healthz", f"X-Request-Id: {given}"))
            assert (through.one("x-request-id") == given) is kept

    def test_the_api_speaks_for_itself(self, outside: httpx.Client) -> None:
        answer = outside.get("/api/nowhere", headers={"Accept-Language": "de"})
        assert answer.status_code == 404
        assert answer.headers["content-language"] == "de"
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]

    def test_the_metrics_are_not_shown(self, front: Proxy) -> None:
        for path in ("/metrics", "//metrics", "/x/../metrics", "/%6detrics", "/metrics?x=1"):
            hold_to_the_form(exchange(front, request(path)), 404, "resource_not_found")

    def test_a_flood_from_one_address_is_held_up(
        self, instances: list[int], tmp_path: Path
    ) -> None:
        slower = [
            ("nginx.conf", "rate=50r/s", "rate=1r/m"),
            ("nginx.conf", "burst=200", "burst=3"),
        ]
        with proxy(tmp_path, instances, slower) as front:
            for _ in range(4):
                assert exchange(front, request()).status == 200
            answer = exchange(front, request())
            hold_to_the_form(answer, 429, "rate_limit_exceeded")
            assert answer.one("retry-after") == "1"
            with front.client("127.0.0.2") as neighbour:
                assert neighbour.get("/healthz").status_code == 200

    def test_a_body_must_keep_coming(self, tmp_path: Path) -> None:
        hurry = ("nginx.conf", "client_body_timeout 15s;", "client_body_timeout 300ms;")
        slow = request("/api/projects", "Content-Length: 100", method="POST") + b"{"
        with proxy(tmp_path, [free_port()], [hurry]) as front, pytest.raises(ConnectionError):
            exchange(front, slow)


@contextmanager
def peer(behaviour: str) -> Iterator[int]:
    """The port of somebody who is not the API: takes requests and says nothing, or is not there."""
    with ExitStack() as stack:
        if behaviour == "absent":
            yield free_port()
        else:
            yield stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]


class TestWithoutTheApi:
    @pytest.mark.parametrize(
        ("behaviour", "status", "code"),
        [("absent", 502, "bad_gateway"), ("silent", 504, "gateway_timeout")],
    )
    def test_an_instance_that_fails_is_a_problem_document(
        self, tmp_path: Path, behaviour: str, status: int, code: str
    ) -> None:
        hurry = ("proxy.conf", "proxy_read_timeout 60s;", "proxy_read_timeout 300ms;")
        with peer(behaviour) as port, proxy(tmp_path, [port], [hurry]) as front:
            answer = exchange(front, request("/api/projects", method="POST"))
            hold_to_the_form(answer, status, code)
            assert answer.all("retry-after") == (["5"] if status == 502 else [])


class TestConfiguration:
    def test_every_code_in_it_is_known(self) -> None:
        text = (SHIPPED / "problem.conf").read_text()
        block = text.split("$problem_code {")[1].split("}")[0]
        codes = {line.split()[1].rstrip(";") for line in block.strip().splitlines()}
        assert codes - OF_NGINX <= {each.code for each in errors.all_errors()}

    def test_its_limits_fit_those_of_the_api(self) -> None:
        texts = {path.name: path.read_text() for path in SHIPPED.glob("*.conf")}
        assert Settings.model_fields["max_body_bytes"].default == 2**20
        assert "client_max_body_size 1m;" in texts["nginx.conf"]
        assert "1048576 bytes" in texts["problem.conf"]
