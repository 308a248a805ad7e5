"""Headers of every answer, whichever layer gave it."""

import re

import pytest

from .serving import Answer, Implementation, Served, serving

SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-xss-protection": "0",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def assert_secure(answer: Answer) -> None:
    for name, value in SECURITY_HEADERS.items():
        assert answer.one(name) == value
    assert answer.one("x-request-id")
    assert answer.all("server") == []


class TestSecurityHeaders:
    @pytest.mark.parametrize(
        ("status", "target", "headers", "method"),
        [
            (200, "/echo", [], "GET"),
            (204, "/echo", [], "OPTIONS"),
            (400, "/%ff", [], "GET"),
            (
                403,
                "/echo",
                ["Origin: https://x.y", "Access-Control-Request-Method: GET"],
                "OPTIONS",
            ),
            (404, "//echo", [], "GET"),
            (405, "/echo", [], "TRACE"),
            (413, "/echo", ["Content-Length: 5000"], "POST"),
            (414, "/" + "a" * 9000, [], "GET"),
            (415, "/echo", ["Content-Encoding: gzip"], "GET"),
            (500, "/boom", [], "GET"),
            (500, "/silent", [], "GET"),
        ],
    )
    def test_are_on_answers_of_every_layer(
        self, served: Served, status: int, target: str, headers: list[str], method: str
    ) -> None:
        answer = served.request(target, *headers, method=method)
        assert answer.status == status
        assert_secure(answer)

    def test_are_on_a_limited_answer(self) -> None:
        with serving(rate_limit_per_ip="1/hour") as server:
            server.request()
            answer = server.request()
        assert answer.status == 429
        assert_secure(answer)

    def test_yield_to_what_an_inner_layer_says_first(self, served: Served) -> None:
        answer = served.request("/own")
        assert answer.one("content-security-policy") == "default-src 'self'"
        assert answer.one("cache-control") == "public, max-age=60"
        assert answer.one("x-frame-options") == "DENY"

    def test_no_layer_names_its_software(self, served: Served) -> None:
        assert served.request("/own").all("server") == []


class TestRequestId:
    @pytest.mark.parametrize("given", ["abcdefgh", "A-Za_z-09" * 4, "x" * 64])
    def test_a_good_one_is_kept(self, served: Served, given: str) -> None:
        answer = served.request("/echo", f"X-Request-Id: {given}")
        assert answer.one("x-request-id") == given
        assert answer.json()["state"]["request_id"] == given

    @pytest.mark.parametrize("given", ["short", "x" * 65, "with space", "new\tline12", "ümlaut-id"])
    def test_any_other_is_replaced(self, served: Served, given: str) -> None:
        answer = served.request("/echo", f"X-Request-Id: {given}")
        assert re.fullmatch("[0-9a-f]{32}", answer.one("x-request-id"))

    def test_two_are_replaced(self, served: Served) -> None:
        answer = served.request("/echo", "X-Request-Id: abcdefgh", "X-Request-Id: ijklmnop")
        assert re.fullmatch("[0-9a-f]{32}", answer.one("x-request-id"))

    def test_an_inner_layer_cannot_change_it(self, served: Served) -> None:
        assert served.request("/own", "X-Request-Id: from-outside").one("x-request-id") == (
            "from-outside"
        )

    def test_two_requests_have_different_ones(self, served: Served) -> None:
        first, second = served.request(), served.request()
        assert first.one("x-request-id") != second.one("x-request-id")


class TestHead:
    def test_is_the_get_without_its_body(self, served: Served) -> None:
        get = served.request("/echo", "X-Request-Id: same-one-1")
        head = served.request("/echo", "X-Request-Id: same-one-1", method="HEAD")
        assert head.status == 200
        assert head.body == b""
        assert head.one("content-length") == get.one("content-length")
        assert served.inner.requests[-1]["method"] == "GET"

    def test_of_a_refused_path_has_no_body(self, served: Served) -> None:
        head = served.request("//echo", method="HEAD")
        assert (head.status, head.body) == (404, b"")

    @pytest.mark.parametrize("implementation", ["h11", "httptools"])
    def test_leaves_the_connection_usable(self, implementation: Implementation) -> None:
        request = b"HEAD /echo HTTP/1.1\r\nHost: t\r\n\r\nGET /echo HTTP/1.1\r\nHost: t\r\n"
        with serving(http_implementation=implementation) as server, server.connect() as connection:
            connection.sendall(request + b"Connection: close\r\n\r\n")
            with connection.makefile("rb") as reader:
                text = reader.read()
        assert text.count(b"HTTP/1.1 200") == 2
        assert text.count(b'{"method"') == 1
