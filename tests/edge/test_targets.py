"""Which paths and query strings get through, sent as raw bytes."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from bugtracker.edge.targets import check_target
from bugtracker.errors import AppError

from .serving import Implementation, Served, serving

GOOD = [
    "/", "/echo", "/echo/", "/a/b.c/d-e_f~g", "/a..b", "/...", "/.well-known/jwks.json",
    "/a%20b", "/%C3%BC", "/a%2Bb", "/a+b", "/a;b=c", "/a%25b", "/a@b:c", "/%252e%252e/a",
    "/echo?a=b%20c&d=%C3%BC", "/echo?", "/echo?q=a//b/../c", "/echo?%2F%5C", "/echo?q='\"<>|",
]  # fmt: skip

NOT_FOUND = [
    "//", "//echo", "/echo//", "/a//b", "/a\\b", "/a%5cb", "/a%5Cb", "/a%2fb", "/a%2Fb", "/.",
    "/..", "/a/.", "/a/..", "/a/./b", "/a/../b", "/%2e", "/%2e%2e/a", "/.%2E/a", "/a/%2e%2e%2fb",
    "/%2F", "/..%2f..%2fetc/passwd", "/..%5c", "/echo/..?a=b",
]  # fmt: skip

MALFORMED = [
    "/%", "/%zz", "/%a", "/a%2", "/%00", "/a%00b", "/%0a", "/%0d%0aSet-Cookie:x", "/%7f", "/%1f",
    "/%ff", "/%c0%ae", "/%c0%af", "/%ed%a0%80", "/%f5%80%80%80", "/%C2%80", "/%c3", "/..%00",
    "/echo?%", "/echo?a=%zz", "/echo?a=%00", "/echo?a=%0a", "/echo?a=%ff", "/echo?a=%ed%a0%80",
    "/echo?a=%c0%80", "/echo?%7f=1", "/echo?a=b%2",
]  # fmt: skip


@pytest.fixture(scope="module", params=["h11", "httptools"])
def either(request: pytest.FixtureRequest) -> Iterator[Served]:
    implementation: Implementation = request.param
    with serving(http_implementation=implementation) as server:
        yield server


@pytest.mark.parametrize("target", GOOD)
def test_an_honest_target_reaches_the_application_unchanged(either: Served, target: str) -> None:
    answer = either.request(target)
    assert answer.status == 200
    assert answer.json()["query"] == target.partition("?")[2]


@pytest.mark.parametrize("target", NOT_FOUND)
def test_a_target_that_climbs_is_not_found(either: Served, target: str) -> None:
    answer = either.request(target)
    assert (answer.status, answer.code) == (404, "resource_not_found")


@pytest.mark.parametrize("target", MALFORMED)
def test_an_unreadable_target_is_malformed(either: Served, target: str) -> None:
    answer = either.request(target)
    assert (answer.status, answer.code) == (400, "request_malformed")


@pytest.mark.parametrize(
    "target", [b"/\xff", b"/\xc3\xbc", b"/a\x01b", b"/echo?a=\xff", b"/echo?a=\x01", b"echo", b"\\"]
)
def test_raw_bytes_that_are_no_target_are_refused_by_server_or_edge(
    either: Served, target: bytes
) -> None:
    assert either.request(target).status == 400
    assert either.inner.requests == [] or either.inner.requests[-1]["path"] != target.decode("l1")


def test_refused_targets_never_reach_the_application() -> None:
    with serving() as server:
        for target in [*NOT_FOUND, *MALFORMED]:
            server.request(target)
        assert server.inner.requests == []


def test_the_length_of_a_target_is_bounded(served: Served) -> None:
    assert served.request("/" + "a" * 8000).status == 200
    for target in ("/" + "a" * 8200, "/echo?" + "a" * 8200, "/" + "a" * 4100 + "?" + "b" * 4100):
        answer = served.request(target)
        assert (answer.status, answer.code) == (414, "uri_too_long")


def test_options_for_the_whole_server_name_all_methods(either: Served) -> None:
    answer = either.request("*", method="OPTIONS")
    assert answer.status == 204
    assert "PATCH" in answer.one("allow")


def test_trace_is_never_allowed(either: Served) -> None:
    answer = either.request("/echo", method="TRACE")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.one("allow") == "GET, HEAD, OPTIONS, POST"


def test_connect_opens_no_tunnel(either: Served) -> None:
    assert either.request("/echo", method="CONNECT").status in (400, 405)
    assert either.request("example.org:443", method="CONNECT").status in (400, 405)


@pytest.mark.parametrize(
    "piece", ["/a", "/.", "/..", "/%2e", "%", "%41", "/.a", "a/", "/" * 50, "%2f"]
)
def test_the_longest_targets_are_checked_in_no_time(piece: str) -> None:
    raw = ("/" + piece * 8000)[:8000].encode()
    begun = time.thread_time()
    for _ in range(10):
        with contextlib.suppress(AppError):
            check_target(raw, raw[:180])
    assert time.thread_time() - begun < 0.5
