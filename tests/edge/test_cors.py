"""Cross-origin requests."""

import pytest

from bugtracker.contract import load_contract
from bugtracker.edge.cors import Cors

from .conftest import LISTED_ORIGIN
from .serving import Served, serving

PREFLIGHT = "Access-Control-Request-Method: POST"
SAFE = {"Accept", "Allow", "Cache-Control", "Content-Length"}
"""Exposed by browsers anyway, or of use to nobody's program."""


def documented() -> set[str]:
    """The headers of all documented answers."""
    contract = load_contract()
    operations = contract.operations.values()
    responses = [node for each in operations for node in each.raw["responses"].values()]
    return {name for node in responses for name in contract.resolve(node).get("headers", {})}


class TestActualRequest:
    def test_a_listed_origin_may_read(self, served: Served) -> None:
        answer = served.request("/echo", f"Origin: {LISTED_ORIGIN}")
        assert answer.one("access-control-allow-origin") == LISTED_ORIGIN
        exposed = answer.one("access-control-expose-headers").split(", ")
        assert exposed == sorted(exposed, key=str.lower)
        assert documented() - SAFE <= set(exposed)
        assert answer.all("access-control-allow-credentials") == []

    def test_a_listed_origin_may_read_errors(self, served: Served) -> None:
        for path, status in (("/boom", 500), ("//", 404)):
            answer = served.request(path, f"Origin: {LISTED_ORIGIN}")
            assert answer.status == status
            assert answer.one("access-control-allow-origin") == LISTED_ORIGIN

    @pytest.mark.parametrize(
        "origin",
        [
            "null", "*", "", "https://app.example.evil.example", "http://app.example",
            "https://app.example:8443", "https://evil.example", "https://APP.example",
            "https://app.example, https://evil.example", "https://app.example/",
        ],
    )  # fmt: skip
    def test_any_other_origin_gets_no_permission(self, served: Served, origin: str) -> None:
        answer = served.request("/echo", f"Origin: {origin}")
        assert answer.status == 200
        assert [n for n, _ in answer.headers if n.startswith("access-control")] == []

    def test_every_answer_varies_by_origin(self, served: Served) -> None:
        for path in ("/echo", "/boom", "//"):
            assert "Origin" in served.request(path).one("vary").split(", ")
        assert served.request("/own").one("vary") == "Accept-Language, Origin"

    def test_without_a_list_nothing_varies(self) -> None:
        with serving() as server:
            answer = server.request("/echo", f"Origin: {LISTED_ORIGIN}")
        assert answer.all("vary") == []
        assert answer.all("access-control-allow-origin") == []


class TestPreflight:
    def test_tells_a_listed_origin_the_methods_of_the_path(self, served: Served) -> None:
        answer = served.request("/echo", f"Origin: {LISTED_ORIGIN}", PREFLIGHT, method="OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.one("access-control-allow-origin") == LISTED_ORIGIN
        assert answer.one("access-control-allow-methods") == "GET, HEAD, OPTIONS, POST"
        allowed = answer.one("access-control-allow-headers").split(", ")
        assert {"Authorization", "Content-Type", "If-Match", "Idempotency-Key"} <= set(allowed)
        assert answer.one("access-control-max-age") == "600"

    def test_names_all_methods_for_an_unknown_path(self, served: Served) -> None:
        answer = served.request("/none", f"Origin: {LISTED_ORIGIN}", PREFLIGHT, method="OPTIONS")
        assert "PATCH" in answer.one("access-control-allow-methods")

    @pytest.mark.parametrize("origin", ["https://evil.example", "null"])
    def test_refuses_any_other_origin(self, served: Served, origin: str) -> None:
        answer = served.request("/echo", f"Origin: {origin}", PREFLIGHT, method="OPTIONS")
        assert (answer.status, answer.code) == (403, "origin_not_allowed")
        assert answer.all("access-control-allow-origin") == []

    def test_counts_against_the_limit(self) -> None:
        with serving(rate_limit_per_ip="1/hour", cors_origins=(LISTED_ORIGIN,)) as server:
            origin = f"Origin: {LISTED_ORIGIN}"
            statuses = [
                server.request("/echo", origin, PREFLIGHT, method="OPTIONS").status for _ in "12"
            ]
        assert statuses == [204, 429]


class TestOptions:
    def test_names_the_methods_of_a_known_path(self, served: Served) -> None:
        answer = served.request("/only-post", method="OPTIONS")
        assert (answer.status, answer.one("allow")) == (204, "OPTIONS, POST")

    def test_of_an_unknown_path_is_the_applications_to_answer(self, served: Served) -> None:
        answer = served.request("/none", method="OPTIONS")
        assert answer.json()["method"] == "OPTIONS"

    def test_without_a_list_of_methods_is_the_applications_to_answer(self) -> None:
        with serving(knows_methods=False) as server:
            assert server.request("/echo", method="OPTIONS").json()["path"] == "/echo"


@pytest.mark.parametrize("origin", ["*", "null", "https://*.example", "app.example"])
def test_only_exact_origins_can_be_listed(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        Cors([origin])
