"""The pages over HTTP: status, headers, caching, and what is left to the API."""

import json
import re

import httpx
import pytest
import yaml

from bugtracker.pages.assets import STATIC

from .serving import Served

CONTRACT_PATHS = ["/openapi.json", "/openapi.yaml"]
PAGES = ["/docs", "/reference", "/links/"]
# path → status, location
REDIRECTS = {
    "/": (302, "/docs"),
    "/docs/": (308, "/docs"),
    "/reference/": (308, "/reference"),
    "/links": (308, "/links/"),
}
OWN_PATHS = [*CONTRACT_PATHS, *PAGES, *REDIRECTS, "/favicon.ico"]


def linked(served: Served, page: str) -> list[str]:
    """The scripts and styles of a page."""
    html = served.http.get(page).text
    return re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', html)


def directives(answer: httpx.Response) -> dict[str, str]:
    """The Content-Security-Policy, by directive."""
    parts = answer.headers["content-security-policy"].split(";")
    return {name: rest for name, _, rest in (part.strip().partition(" ") for part in parts)}


class TestContract:
    def test_json_is_the_bundled_contract(self, served: Served) -> None:
        answer = served.http.get("/openapi.json")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.content) == served.contract.document
        assert answer.headers["etag"] == served.contract.etag

    def test_yaml_says_the_same(self, served: Served) -> None:
        answer = served.http.get("/openapi.yaml")
        assert answer.headers["content-type"] == "application/yaml"
        assert yaml.safe_load(answer.text) == served.contract.document

    def test_two_representations_have_two_tags(self, served: Served) -> None:
        tags = {served.http.get(path).headers["etag"] for path in CONTRACT_PATHS}
        assert len(tags) == 2

    @pytest.mark.parametrize("path", CONTRACT_PATHS)
    def test_is_kept_but_asked_for_again(self, served: Served, path: str) -> None:
        answer = served.http.get(path)
        assert answer.headers["cache-control"] == "public, no-cache"
        assert directives(answer)["default-src"] == "'none'"


class TestConditional:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("path", [*CONTRACT_PATHS, *PAGES, "/favicon.ico"])
    def test_what_the_client_has_is_not_sent_again(
        self, served: Served, path: str, method: str
    ) -> None:
        first = served.http.get(path)
        given = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}
        second = served.http.request(method, path, headers=given)
        assert (second.status_code, second.content) == (304, b"")
        for name in ("etag", "cache-control", "content-security-policy"):
            assert second.headers[name] == first.headers[name]
        assert "content-type" not in second.headers

    def test_a_list_may_come_in_two_lines(self, served: Served) -> None:
        lines = [("If-None-Match", '"other"'), ("If-None-Match", served.contract.etag)]
        assert served.http.get("/openapi.json", headers=lines).status_code == 304

    def test_another_tag_gets_the_whole(self, served: Served) -> None:
        yaml_tag = served.http.get("/openapi.yaml").headers["etag"]
        answer = served.http.get("/openapi.json", headers={"If-None-Match": yaml_tag})
        assert answer.status_code == 200

    @pytest.mark.parametrize("path", [*CONTRACT_PATHS, *PAGES])
    def test_head_has_the_length_and_no_body(self, served: Served, path: str) -> None:
        length = len(served.http.get(path, headers={"Accept-Encoding": "identity"}).content)
        answer = served.http.head(path)
        assert answer.status_code == 200
        assert (int(answer.headers["content-length"]), answer.content) == (length, b"")


class TestPage:
    @pytest.mark.parametrize("path", PAGES)
    def test_is_html_that_is_asked_for_again(self, served: Served, path: str) -> None:
        answer = served.http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "public, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"

    @pytest.mark.parametrize("path", PAGES)
    def test_policy_allows_our_own_files_only(self, served: Served, path: str) -> None:
        policy = directives(served.http.get(path))
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in str(policy)
        for closed in ("default-src", "base-uri", "form-action", "frame-ancestors"):
            assert policy[closed] == "'none'"

    def test_styles_are_files_but_for_two_known_texts_of_redoc(self, served: Served) -> None:
        allowed = {path: directives(served.http.get(path))["style-src"] for path in PAGES}
        assert allowed["/docs"] == allowed["/links/"] == "'self'"
        first, *known = allowed["/reference"].split()
        assert first == "'self'"
        assert [text[:8] for text in known] == ["'sha256-", "'sha256-"]

    def test_mailed_links_allow_no_html_sinks(self, served: Served) -> None:
        policy = directives(served.http.get("/links/"))
        assert policy["require-trusted-types-for"] == "'script'"
        assert policy["img-src"] == "'self'"

    @pytest.mark.parametrize("path", PAGES)
    def test_nothing_is_inline(self, served: Served, path: str) -> None:
        html = served.http.get(path).text
        assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html) == []

    @pytest.mark.parametrize("path", PAGES)
    def test_its_files_are_cached_for_ever(self, served: Served, path: str) -> None:
        files = linked(served, path)
        assert sorted(file.rsplit(".", 1)[1] for file in files) == ["css", "js", "js"]
        for file in files:
            answer = served.http.get(file)
            assert re.search(r"\.[0-9a-f]{12}\.(js|css)$", file)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))

    @pytest.mark.parametrize(
        ("path", "file", "major"),
        [
            ("/docs", "swagger-ui/swagger-ui-bundle.js", "5"),
            ("/reference", "redoc/redoc.standalone.js", "2"),
        ],
    )
    def test_vendored_scripts_are_of_the_version_that_is_noted(
        self, served: Served, path: str, file: str, major: str
    ) -> None:
        vendored = STATIC / file
        (script,) = [each for each in linked(served, path) if vendored.stem in each]
        served_script = served.http.get(script).content
        assert served_script == vendored.read_bytes()
        version = (vendored.parent / "VERSION").read_text().strip()
        assert re.fullmatch(rf"{major}\.\d+\.\d+", version)
        assert f'"{version}"'.encode() in served_script
        assert (vendored.parent / "LICENSE").is_file()

    def test_icon(self, served: Served) -> None:
        answer = served.http.get("/favicon.ico")
        assert answer.headers["content-type"] == "image/x-icon"
        assert answer.content[:4] == b"\x00\x00\x01\x00"


class TestPaths:
    @pytest.mark.parametrize("path", REDIRECTS)
    def test_redirects_name_no_host(self, served: Served, path: str) -> None:
        answer = served.http.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.headers["location"]) == REDIRECTS[path]

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", OWN_PATHS)
    def test_are_read_only(self, served: Served, path: str, method: str) -> None:
        answer = served.http.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "method_not_allowed"

    @pytest.mark.parametrize("path", OWN_PATHS)
    def test_options_tells_the_methods(self, served: Served, path: str) -> None:
        answer = served.http.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")

    def test_options_of_the_api_come_from_the_contract(self, served: Served) -> None:
        answer = served.http.options("/api/auth/verify-email")
        assert answer.headers["allow"] == "OPTIONS, POST"

    @pytest.mark.parametrize(
        "path",
        [
            "/docs/index.html",
            "/docs/swagger-ui.css",
            "/docs/LICENSE",
            "/reference/redoc.standalone.js",
            "/links/index.html",
            "/links/x",
            "/Docs",
            "/openapi",
        ],
    )
    def test_all_others_are_the_apis(self, served: Served, path: str) -> None:
        answer = served.http.get(path)
        # The tiny API's own answer: the pages have none.
        assert (answer.status_code, answer.text) == (404, "Not Found")
        assert "allow" not in served.http.options(path).headers
