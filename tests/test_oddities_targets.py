"""Odd targets, methods and cursors against real operations: each gets one clean answer."""

import re

import pytest

from bugtracker.contract import load_contract
from bugtracker.schemas import to_2020_12
from tests.edge.serving import Answer
from tests.raw import Raw, errors
from tests.serving import Server
from tests.world import Caller, Json, Org, World

CONTRACT = load_contract()
NO_ID = "01955b4e-2e03-7a42-8503-ac43ac35012b"
IDS = {
    "issue_id": "ZZZZ-1",
    "project_id": NO_ID,
    "comment_id": NO_ID,
    "session_id": NO_ID,
    "api_key_id": NO_ID,
    "organisation_id": NO_ID,
    "invitation_id": NO_ID,
    "deletion_request_id": NO_ID,
    "user_id": NO_ID,
    "job_id": NO_ID,
    "export_id": NO_ID,
    "reference": "customer-4711",
    "webhook_id": NO_ID,
    "event_id": NO_ID,
}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def by_hand(server: Server, caller: Caller) -> Raw:
    return Raw(server.host, server.port, caller.http.headers["Authorization"])


@pytest.fixture
def raw(server: Server, org: Org) -> Raw:
    """A manager who speaks HTTP by hand."""
    return by_hand(server, org.manager)


def expect(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)


class TestPath:
    @pytest.mark.parametrize(
        "target",
        ["//api/projects", "/api//projects", "/api/projects//", "///", "/api/./projects",
         "/api/../api/projects", "/api/%2e/projects", "/api/%2e%2e/api/projects",
         "/api%2fprojects", "/api%2Fprojects", "/api/%2fprojects", "/api\\projects",
         "/api/%5cprojects", "/api/projects/", "/api/projects/.", "/api/projects/..",
         "/API/projects", "/api/Projects", "/api", "/api/", "/api/projects.json", "/api/projects;x",
         "/api/projects%20", "/api/projects%3Fpage=1", "/api/issues/", "/api/issues//comments",
         "/api/projects/x/y/z", "/etc/passwd", "/docs/../../etc/passwd", "/static/%2e%2e/app.py",
         "/openapi.json/", "/healthz/", "/healthz/x", "/.git/config", "/%61pi/projects/x/"],
    )  # fmt: skip
    def test_that_is_not_in_the_contract_is_not_found(self, raw: Raw, target: str) -> None:
        expect(raw.get(target), 404, "resource_not_found")
        expect(raw.post(target, b"{}"), 404, "resource_not_found")

    @pytest.mark.parametrize(
        "target",
        [b"/api/projects/\xff", b"/api/projects/%ff", b"/api/projects/%c0%af", b"/api/projects/%00",
         b"/api/projects/%0d%0aX:y", b"/api/projects/%ed%a0%80", b"/api/projects/%zz",
         b"/api/projects/%", b"/api/projects/\x01", b"api/projects", b"*", b"/api/projects/%7f"],
    )  # fmt: skip
    def test_that_cannot_be_read_is_malformed(self, raw: Raw, target: bytes) -> None:
        expect(raw.get(target), 400, "request_malformed")

    def test_escaped_letters_are_the_letters(self, raw: Raw) -> None:
        assert raw.get("/%61pi/pr%6fjects").status == 200

    @pytest.mark.parametrize(
        "issue",
        ["ZZZZ-01", "ZZZZ-0", "ZZZZ-9999999999", "Z-1", "ZZZZ-1%0a", "ZZZZ-%D9%A1", "1",
         "ZZZZ_1", "%EF%BC%BAZZZ-1", "null", "undefined", "*", "'", "%27%20OR%201=1--",
         "a" * 5_000, "01955b4e2e037a428503ac43ac35012b", "%7B%7D", "%F0%9F%90%9B"],
    )  # fmt: skip
    @pytest.mark.parametrize("rest", ["", "/comments", "/history"])
    def test_ids_of_another_form_are_refused(self, raw: Raw, issue: str, rest: str) -> None:
        assert raw.get(f"/api/issues/{issue}{rest}").status == 400

    def test_ids_are_read_in_any_case(self, raw: Raw, org: Org) -> None:
        project = org.manager.create_project()
        answer = raw.get(f"/api/projects/{project['id'].upper()}")
        assert answer.json() == project

    def test_of_more_than_eight_kilobytes_is_too_long(self, raw: Raw) -> None:
        expect(raw.get("/api/projects/" + "a" * 9_000), 414, "uri_too_long")
        expect(raw.get("/api/projects?search=" + "a" * 9_000), 414, "uri_too_long")


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "violations"),
        [
            ("page=+5", {("page", "type")}),
            ("page=%2B5", {("page", "type")}),
            ("page=1_000", {("page", "type")}),
            ("page=%D9%A1", {("page", "type")}),
            ("page=1.0", {("page", "type")}),
            ("page=1e1", {("page", "type")}),
            ("page=" + "9" * 5_000, {("page", "type")}),
            ("page=10001", {("page", "maximum")}),
            ("limit=", {("limit", "type")}),
            ("limit", {("limit", "type")}),
            ("is_archived=TRUE", {("is_archived", "type")}),
            ("is_archived=1", {("is_archived", "type")}),
            ("limit=5&limit=5", {("limit", "duplicate")}),
            ("limit=5&%6cimit=6", {("limit", "duplicate")}),
            ("sort=name&sort=name&sort=name", {("sort", "duplicate")}),
            ("unknown=1", {("unknown", "unknown_parameter")}),
            ("access_token=a", {("access_token", "unknown_parameter")}),
            ("page=1&cursor=AAAA", {("cursor", "exclusive")}),
            ("&=&", {("", "unknown_parameter")}),
        ],
    )
    def test_is_read_strictly(self, raw: Raw, query: str, violations: set[tuple[str, str]]) -> None:
        answer = raw.get(f"/api/projects?{query}")
        expect(answer, 400, "request_invalid")
        assert errors(answer) == violations

    @pytest.mark.parametrize(
        "query",
        [b"search=%ff", b"search=%00", b"search=%ed%a0%80", b"search=%zz", b"search=%", b"%ff=1",
         b"search=\xff", b"search=a%0ab"],
    )  # fmt: skip
    def test_that_cannot_be_read_is_malformed(self, raw: Raw, query: bytes) -> None:
        expect(raw.get(b"/api/projects?" + query), 400, "request_malformed")

    def test_of_a_thousand_unknown_parameters_names_a_hundred(self, raw: Raw) -> None:
        answer = raw.get("/api/projects?" + "&".join(f"p{n}=" for n in range(1_000)))
        expect(answer, 400, "request_invalid")
        assert len(errors(answer)) == 100

    @pytest.mark.parametrize("query", ["", "&", "&&&", "search=%25_%5C", "search=%F0%9F%90%9B"])
    def test_that_is_merely_unusual_is_fine(self, raw: Raw, query: str) -> None:
        assert raw.get(f"/api/projects?{query}").json()["items"] == []


PAGES = {"/docs", "/reference", "/openapi.json", "/openapi.yaml", "/links/"}


class TestMethod:
    @pytest.mark.parametrize("path", [*CONTRACT.methods_by_path, *sorted(PAGES)])
    def test_that_a_path_has_not_is_refused_with_those_it_has(self, raw: Raw, path: str) -> None:
        has = set(CONTRACT.methods_by_path.get(path, {"GET"}))
        allowed = has | {"OPTIONS"} | ({"HEAD"} if "GET" in has else set())
        target = path.format(**IDS)
        for method in {*METHODS, "HEAD", "TRACE"} - allowed:
            answer = raw.send(method, target)
            assert answer.status == 405, method
            assert set(answer.one("allow").split(", ")) == allowed
            if method != "HEAD":
                expect(answer, 405, "method_not_allowed")
        options = raw.send("OPTIONS", target)
        assert (options.status, options.body) == (204, b"")
        assert set(options.one("allow").split(", ")) == allowed

    def test_its_refusal_is_the_documented_one(self, raw: Raw) -> None:
        response = CONTRACT.document["components"]["responses"]["MethodNotAllowed"]
        answer = raw.send("PUT", "/api/projects")
        assert list(response["content"]) == [answer.one("content-type")]
        assert list(response["content"][answer.one("content-type")]["examples"]) == [answer.code]
        documented = to_2020_12(CONTRACT.document["components"]["schemas"]["Problem"])
        assert set(documented["required"]) <= set(answer.json()) <= set(documented["properties"])

    def test_head_is_get_without_the_body(self, raw: Raw, org: Org) -> None:
        target = f"/api/projects/{org.manager.create_project()['id']}"
        get, head = raw.get(target), raw.send("HEAD", target)
        assert (head.status, head.body) == (200, b"")
        for name in ("etag", "content-length", "content-type", "cache-control"):
            assert head.one(name) == get.one(name)
        for missing, status in ((f"{target}0", 400), ("/api/issues/ZZZZ-1", 404)):
            head = raw.send("HEAD", missing)
            assert (head.status, head.body) == (status, b"")

    @pytest.mark.parametrize("method", ["get", "Get", "PROPFIND", "BREW", "G E T", "GETT", "\0"])
    def test_that_http_does_not_have_is_refused(self, raw: Raw, method: str) -> None:
        assert raw.send(method, "/api/projects").status in (400, 405)


class TestCursor:
    @pytest.fixture
    def project(self, org: Org) -> Json:
        project = org.manager.create_project()
        for _ in range(2):
            issue = org.manager.create_issue(project)
            org.manager.create_comment(issue)
            org.manager.create_comment(issue)
        return project

    def list_cursor(self, caller: Caller, path: str, **query: str) -> str:
        page = caller.get(path, params={"limit": "1", **query}).json()
        cursor: str = page["next_cursor"]
        assert re.fullmatch(r"[A-Za-z0-9_.=-]+", cursor)
        return cursor

    def test_opens_no_other_list(
        self, raw: Raw, server: Server, world: World, org: Org, project: Json
    ) -> None:
        path = f"/api/projects/{project['id']}/issues"
        cursor = self.list_cursor(org.manager, path)
        assert raw.get(f"{path}?cursor={cursor}&limit=50").status == 200
        assert raw.get(f"{path}?cursor={cursor}&render=html").status == 200
        another = org.manager.create_project()
        for target in (
            f"{path}?sort=created_at&", f"{path}?status=open&", f"{path}?search=tide&",
            f"/api/projects/{another['id']}/issues?", "/api/projects?",
        ):  # fmt: skip
            expect(raw.get(f"{target}cursor={cursor}"), 400, "cursor_invalid")
        stranger = by_hand(server, world.create_org().manager)
        expect(stranger.get(f"{path}?cursor={cursor}"), 400, "cursor_invalid")

    @pytest.mark.parametrize("list_name", ["comments", "history"])
    def test_of_one_issue_opens_not_that_of_another(
        self, raw: Raw, org: Org, project: Json, list_name: str
    ) -> None:
        issues = org.manager.get(f"/api/projects/{project['id']}/issues").json()["items"]
        for issue in issues:
            org.manager.move(issue, "in_progress")
        one, other = (f"/api/issues/{issue['id']}/{list_name}" for issue in issues)
        cursor = self.list_cursor(org.manager, one)
        assert raw.get(f"{one}?cursor={cursor}").status == 200
        expect(raw.get(f"{other}?cursor={cursor}"), 400, "cursor_invalid")

    def test_cannot_be_forged(self, raw: Raw, org: Org, project: Json) -> None:
        path = f"/api/projects/{project['id']}/issues"
        cursor = self.list_cursor(org.manager, path)
        for position in range(0, len(cursor) - 1, 7):
            changed = "A" if cursor[position] != "A" else "B"
            forged = cursor[:position] + changed + cursor[position + 1 :]
            expect(raw.get(f"{path}?cursor={forged}"), 400, "cursor_invalid")
        for forged in (
            cursor[:-4],
            cursor + "AAAA",
            cursor[4:],
            "A" * 2_000,
            "=",
            "....",
            "-",
            "A",
        ):
            expect(raw.get(f"{path}?cursor={forged}"), 400, "cursor_invalid")

    def test_of_more_than_two_thousand_characters_is_invalid(self, raw: Raw) -> None:
        answer = raw.get("/api/projects?cursor=" + "A" * 2_001)
        expect(answer, 400, "request_invalid")
        assert errors(answer) == {("cursor", "maxLength")}
