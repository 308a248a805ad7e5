"""Odd bodies and headers against real operations: each gets one clean answer, never 5xx or a hang.

Requests go over a raw socket, byte by byte as they stand here. Targets, methods and cursors are in
``test_oddities_targets.py``.
"""

import json

import pytest

from tests.edge.serving import Answer
from tests.raw import Raw, chunked, errors
from tests.serving import Server
from tests.world import Org

TIDES = b'{"name": "Tides"}'
MEGABYTE = 1_048_576


@pytest.fixture
def raw(server: Server, org: Org) -> Raw:
    """A manager who speaks HTTP by hand."""
    return Raw(server.host, server.port, org.manager.http.headers["Authorization"])


def expect(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)


MALFORMED_BODIES = {
    "invalid UTF-8": b'{"name": "\xff"}',
    "an overlong form": b'{"name": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "UTF-16": '{"name": "Tides"}'.encode("utf-16"),
    "UTF-32": '{"name": "Tides"}'.encode("utf-32-le"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "Tides"}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": Infinity}',
    "-Infinity": b'{"name": -Infinity}',
    "1e999": b'{"name": 1e999}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone surrogate as key": b'{"\\udfff": 1, "name": "Tides"}',
    "100k arrays": b"[" * 100_000 + b"]" * 100_000,
    "100k open arrays": b"[" * 100_000,
    "100k objects": b'{"name":' * 100_000 + b"1" + b"}" * 100_000,
    "an integer of 5000 digits": b'{"name": ' + b"9" * 5000 + b"}",
    "an integer of a million digits": b'{"name": ' + b"9" * 1_000_000 + b"}",
    "a key twice": b'{"name": "Tides", "name": "Ebbs"}',
    "a key twice, once escaped": b'{"name": "Tides", "\\u006eame": "Ebbs"}',
    "two documents": b'{"name": "Tides"}{}',
    "a raw NUL": b'{"name": "a\x00b"}',
    "white space": b"   ",
    "a form": b"name=Tides",
    "XML": b"<name>Tides</name>",
}

INVALID_BODIES = {
    "nothing": b"",
    "an escaped NUL": b'{"name": "a\\u0000b"}',
    "null": b"null",
    "an array": b'[{"name": "Tides"}]',
    "a number": b"1",
    "a text": b'"name"',
    "200 arrays": b"[" * 200 + b"]" * 200,
    "300 kB of text": b'{"name": "' + b"x" * 300_000 + b'"}',
    "a name of 100 kB": b'{"' + b"n" * 100_000 + b'": 1}',
    "10,000 names": json.dumps({f"n{n}": n for n in range(10_000)}).encode(),
    "__proto__": b'{"name": "Tides", "__proto__": {"role": "owner"}}',
    "a float": b'{"name": 1.5}',
    "-0": b'{"name": -0}',
    "2**63": b'{"name": 9223372036854775808}',
    "a wide blank": '{"name": "\u3000"}'.encode(),
}


class TestBody:
    @pytest.mark.parametrize("body", MALFORMED_BODIES.values(), ids=MALFORMED_BODIES)
    def test_that_is_not_json_is_malformed(self, raw: Raw, body: bytes) -> None:
        expect(raw.post("/api/projects", body), 400, "request_malformed")

    @pytest.mark.parametrize("body", INVALID_BODIES.values(), ids=INVALID_BODIES)
    def test_that_does_not_match_is_invalid(self, raw: Raw, body: bytes) -> None:
        answer = raw.post("/api/projects", body)
        expect(answer, 400, "request_invalid")
        assert 1 <= len(answer.json()["errors"]) <= 100

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff" * 99, b"[" * 100_000])
    def test_is_not_looked_at_where_there_is_none(self, raw: Raw, body: bytes) -> None:
        answer = raw.send("GET", "/api/projects", "Content-Type: application/json", body=body)
        assert answer.status == 200

    def test_without_type_and_content_is_missing(self, raw: Raw) -> None:
        answer = raw.send("POST", "/api/projects")
        expect(answer, 400, "request_invalid")
        assert errors(answer) == {("", "required")}

    def test_of_exactly_a_megabyte_is_read(self, raw: Raw) -> None:
        answer = raw.post("/api/projects", TIDES + b" " * (MEGABYTE - len(TIDES)))
        assert answer.status == 201


class TestMediaType:
    @pytest.mark.parametrize(
        "value",
        ["application/json", "APPLICATION/JSON", "Application/Json; charset=utf-8",
         "application/json;charset=UTF-8", 'application/json; charset="utf-8"',
         "application/json ; charset=utf-8", "application/json;"],
    )  # fmt: skip
    def test_of_json_is_read_and_validated_in_any_spelling(self, raw: Raw, value: str) -> None:
        assert raw.post("/api/projects", TIDES, f"Content-Type: {value}").status == 201
        invalid = raw.post("/api/projects", b'{"name": ""}', f"Content-Type: {value}")
        expect(invalid, 400, "request_invalid")

    @pytest.mark.parametrize(
        "value",
        ["text/plain", "text/json", "application/x-www-form-urlencoded", "application/jsonp",
         "multipart/form-data; boundary=x", "application/merge-patch+json", "*/*", "json",
         "application/*", "application/json, text/plain", "", " ", ";", "/", "application/",
         "application/json; charset=utf-16", "application/json; charset=latin-1",
         "application/json; charset=utf-8; charset=utf-7", "application/json\0",
         "application/jsön", "a" * 10_000],
    )  # fmt: skip
    def test_of_anything_else_is_refused(self, raw: Raw, value: str) -> None:
        answer = raw.post("/api/projects", TIDES, f"Content-Type: {value}")
        assert answer.status in (400, 415)
        assert answer.code in ("media_type_not_supported", "request_malformed")

    def test_missing_is_not_supported(self, raw: Raw) -> None:
        answer = raw.send("POST", "/api/projects", body=TIDES)
        expect(answer, 415, "media_type_not_supported")
        assert answer.one("accept") == "application/json"

    @pytest.mark.parametrize("second", ["application/json", "text/plain"])
    def test_twice_is_not_supported(self, raw: Raw, second: str) -> None:
        types = ("Content-Type: application/json", f"Content-Type: {second}")
        expect(raw.post("/api/projects", TIDES, *types), 415, "media_type_not_supported")

    @pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x"])
    def test_compressed_is_not_supported(self, raw: Raw, encoding: str) -> None:
        answer = raw.post("/api/projects", TIDES, f"Content-Encoding: {encoding}")
        expect(answer, 415, "media_type_not_supported")


CHUNKED = "Transfer-Encoding: chunked"


class TestFraming:
    def test_chunks_are_read_and_validated(self, raw: Raw) -> None:
        pieces = chunked(*(TIDES[n : n + 3] for n in range(0, len(TIDES), 3)))
        assert raw.post("/api/projects", pieces, CHUNKED).status == 201
        expect(raw.post("/api/projects", chunked(b"{}"), CHUNKED), 400, "request_invalid")
        expect(raw.post("/api/projects", chunked(), CHUNKED), 400, "request_invalid")

    @pytest.mark.parametrize("path", ["/api/projects", "/api/auth/login", "/api/nothing"])
    def test_more_than_a_megabyte_is_too_large(self, raw: Raw, path: str) -> None:
        expect(raw.post(path, b" " * (MEGABYTE + 1)), 413, "body_too_large")
        pieces = chunked(*[b" " * 65_536] * 17)
        expect(raw.post(path, pieces, CHUNKED), 413, "body_too_large")

    def test_a_length_that_promises_too_much_is_refused_at_once(self, raw: Raw) -> None:
        answer = raw.post("/api/projects", TIDES, f"Content-Length: {MEGABYTE + 1}")
        expect(answer, 413, "body_too_large")

    @pytest.mark.parametrize(
        "headers",
        [
            ("Content-Length: -1",), ("Content-Length: +17",), ("Content-Length: 0x11",),
            ("Content-Length: 17", "Content-Length: 18"), ("Content-Length: 17, 17",),
            ("Content-Length: 17", CHUNKED), ("Transfer-Encoding: gzip",),
            ("Transfer-Encoding: chunked, gzip",), ("Content-Length: 1_7",), ("Content-Length:",),
            ("Content-Length: 99999999999999999999999",),
        ],
    )  # fmt: skip
    def test_an_unclear_length_is_malformed(self, raw: Raw, headers: tuple[str, ...]) -> None:
        answer = raw.post("/api/projects", TIDES, *headers)
        assert answer.status in (400, 413)

    def test_a_length_that_is_too_short_cuts_the_body(self, raw: Raw) -> None:
        answer = raw.post("/api/projects", TIDES, "Content-Length: 5")
        expect(answer, 400, "request_malformed")

    @pytest.mark.parametrize("pieces", [b"zz\r\n", b"-1\r\n\r\n", b"5;a\r\n{}\r\n0\r\n\r\n"])
    def test_broken_chunks_are_malformed(self, raw: Raw, pieces: bytes) -> None:
        expect(raw.post("/api/projects", pieces, CHUNKED), 400, "request_malformed")

    @pytest.mark.parametrize(
        "request_bytes",
        [b"\r\n\r\nrubbish\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
         b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
         b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", b"FOO /api/projects HTTP/1.1\r\n\r\n"],
    )  # fmt: skip
    def test_what_is_not_http_is_malformed(self, raw: Raw, request_bytes: bytes) -> None:
        expect(raw.exchange(request_bytes), 400, "request_malformed")


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        ["X-Long: " + "a" * 30_000, "Accept: " + "a" * 30_000, "Cookie: " + "a=b; " * 6_000,
         "User-Agent: " + "a" * 30_000, b"X-Bytes: \xff\xfe", "Accept: text/html",
         "Accept-Language: " + "de," * 5_000, "X-Request-Id: " + "a" * 10_000,
         "X-Request-Id: <script>", "X-Forwarded-For: 1.1.1.1", "X-HTTP-Method-Override: DELETE",
         "Range: bytes=0-1", "Expect: 200-ok", "Connection: Upgrade, HTTP2-Settings",
         "X-Org-Id: 01955b4e-2e03-7a42-8503-ac43ac35012b"],
    )  # fmt: skip
    def test_that_we_do_not_read_change_nothing(self, raw: Raw, header: str | bytes) -> None:
        answer = raw.get("/api/projects", header)
        assert (answer.status, answer.json()["items"]) == (200, [])

    def test_of_thirty_thousand_bytes_in_many_lines_change_nothing(self, raw: Raw) -> None:
        assert raw.get("/api/projects", *["X-Line: " + "a" * 90] * 300).status == 200

    @pytest.mark.parametrize(
        "value",
        ["", "x", '"', '"v1', "v1", '"v1" "v2"', '"v1",', ",", "* *", "W/*", "w/\"v1\"",
         '"' + "a" * 30_000 + '"', '"v1"\t;', "'v1'"],
    )  # fmt: skip
    def test_if_match_must_be_an_entity_tag(self, raw: Raw, org: Org, value: str) -> None:
        project = org.manager.create_project()
        target = f"/api/projects/{project['id']}"
        headers = ("Content-Type: application/json", f"If-Match: {value}")
        answer = raw.send("PATCH", target, *headers, body=b'{"name": "Ebb"}')
        expect(answer, 400, "request_invalid")
        assert {place for place, _ in errors(answer)} == {"If-Match"}
        assert org.manager.get(target).json() == project

    @pytest.mark.parametrize("value", ['"v2"', '"v0"', '"v-1"', 'W/"v9-x"', '""', '"x", "y"'])
    def test_if_match_of_nothing_we_have_fails(self, raw: Raw, org: Org, value: str) -> None:
        target = f"/api/projects/{org.manager.create_project()['id']}"
        answer = raw.send("DELETE", target, f"If-Match: {value}")
        expect(answer, 412, "precondition_failed")

    @pytest.mark.parametrize("header", [b'If-Match: "\xff"', "Authorization: Bearer x"])
    def test_unclear_ones_are_malformed(self, raw: Raw, header: str | bytes) -> None:
        """Among them a second Authorization: which one counts?"""
        expect(raw.send("DELETE", "/api/projects", header), 400, "request_malformed")

    @pytest.mark.parametrize(
        "token",
        ["Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer " + "a" * 30_000, "x",
         "Bearer a b", "Bearer ..", "Bearer " + "." * 1_000],
    )  # fmt: skip
    def test_odd_tokens_are_no_authentication(self, server: Server, token: str) -> None:
        answer = Raw(server.host, server.port, token).get("/api/projects")
        assert answer.status == 401
        assert answer.one("www-authenticate").startswith("Bearer ")
