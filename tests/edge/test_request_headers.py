"""Request headers: one reading for every layer."""

import pytest

from .serving import Served


def header(served: Served, name: str, *sent: str | bytes) -> str:
    """What the application sees of a header that is accepted."""
    answer = served.request("/echo", *sent)
    assert answer.status == 200
    (value,) = (v for n, v in answer.json()["headers"] if n == name)
    return str(value)


class TestContentType:
    @pytest.mark.parametrize(
        ("sent", "seen"),
        [
            ("application/json", "application/json"),
            ("APPLICATION/JSON", "application/json"),
            ("Application/Json; Charset=UTF-8", "application/json; Charset=UTF-8"),
            ('application/json;charset="utf-8"', 'application/json;charset="utf-8"'),
            ("application/merge-patch+JSON", "application/merge-patch+json"),
            ("multipart/form-data; boundary=AbC", "multipart/form-data; boundary=AbC"),
        ],
    )
    def test_is_lower_case_with_its_parameters_kept(
        self, served: Served, sent: str, seen: str
    ) -> None:
        assert header(served, "content-type", f"Content-Type: {sent}") == seen

    @pytest.mark.parametrize(
        "sent",
        [
            "application/json; charset=utf-16", "application/json; charset=latin1",
            'application/json; CHARSET="UTF-7"', "application/json;charset=utf-8;charset=utf-16",
            "json", "application/json, text/html", "", "application/", "/json", "a b/c",
            "application/json; =x", "text/" + "x" * 300,
        ],
    )  # fmt: skip
    def test_another_charset_or_no_media_type_is_refused(self, served: Served, sent: str) -> None:
        answer = served.post(b"{}", f"Content-Type: {sent}")
        assert (answer.status, answer.code) == (415, "media_type_not_supported")

    @pytest.mark.parametrize("second", ["application/json", "text/plain", ""])
    def test_twice_is_refused(self, served: Served, second: str) -> None:
        answer = served.post(b"{}", "Content-Type: application/json", f"Content-Type: {second}")
        assert (answer.status, answer.code) == (415, "media_type_not_supported")


class TestContentEncoding:
    @pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "GZIP", "x"])
    def test_is_refused(self, served: Served, coding: str) -> None:
        answer = served.post(b"{}", f"Content-Encoding: {coding}")
        assert (answer.status, answer.code) == (415, "media_type_not_supported")
        assert answer.one("accept-encoding") == "identity"

    @pytest.mark.parametrize("coding", ["identity", "Identity"])
    def test_identity_is_fine(self, served: Served, coding: str) -> None:
        assert served.post(b"{}", f"Content-Encoding: {coding}").status == 200


class TestRepeatedHeaders:
    @pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key"])
    def test_single_ones_are_refused(self, served: Served, name: str) -> None:
        answer = served.request("/echo", f"{name}: a", f"{name.lower()}: a")
        assert (answer.status, answer.code) == (400, "request_malformed")
        assert answer.json()["errors"][0]["parameter"] == name

    @pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
    def test_lists_are_joined(self, served: Served, name: str) -> None:
        sent = (f'{name}: "a"', "X-Other: between", f'{name}: "b", "c"')
        assert header(served, name.lower(), *sent) == '"a", "b", "c"'

    def test_others_are_left_alone(self, served: Served) -> None:
        answer = served.request("/echo", "X-Other: 1", "X-Other: 2")
        assert [v for n, v in answer.json()["headers"] if n == "x-other"] == ["1", "2"]


@pytest.mark.parametrize(
    "name", ["Authorization", "Idempotency-Key", "If-Match", "If-None-Match", "Content-Type"]
)
def test_bytes_beyond_ascii_are_refused_where_we_read(served: Served, name: str) -> None:
    for value in (b"Bearer \xff", "Bearer ü".encode()):
        answer = served.request("/echo", name.encode() + b": " + value)
        assert (answer.status, answer.code) == (400, "request_malformed")


def test_bytes_beyond_ascii_pass_elsewhere(served: Served) -> None:
    assert header(served, "user-agent", b"User-Agent: caf\xe9") == "café"


class TestHost:
    @pytest.mark.parametrize("lines", [b"", b"Host: a\r\nHost: b\r\n"])
    def test_a_request_of_http_1_1_names_its_host_once(self, served: Served, lines: bytes) -> None:
        with served.connect() as connection:
            connection.sendall(b"GET /echo HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")

    def test_http_1_0_need_not(self, served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(b"GET /echo HTTP/1.0\r\n\r\n")
            assert b" 200 " in connection.recv(65536).split(b"\r\n")[0]
