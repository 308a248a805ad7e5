"""Requests against the contract: every violation at once, each with its place, nothing echoed."""

from typing import Any

import httpx
import pytest

from bugtracker.contract import Contract, load_contract
from bugtracker.errors import MediaTypeNotSupported, RequestInvalid, RequestMalformed, Violation
from bugtracker.messages import LANGUAGES
from bugtracker.schemas import Schemas
from bugtracker.validation import MAX_NAME, OperationValidator, query_defaults, require_valid
from tests.world import World

CONTRACT = load_contract()
JSON = "application/json"


def validator(operation_id: str) -> OperationValidator:
    return OperationValidator(CONTRACT.operations[operation_id], CONTRACT, Schemas(CONTRACT))


def found(violations: list[Violation]) -> set[tuple[str, str]]:
    """(place, code) of each violation; the place of a body's member begins with a slash."""
    return {(v.parameter if v.parameter is not None else v.pointer or "", v.code)
            for v in violations}  # fmt: skip


def in_body(operation_id: str, content: bytes) -> set[tuple[str, str]]:
    return found(validator(operation_id).body(JSON, content)[1])


def query(operation_id: str, text: str) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """Coerced query parameters of a request with valid path parameters, and its violations."""
    operation = CONTRACT.operations[operation_id]
    path = {p.name: "01955b4e-2e03-7a42-8503-ac43ac35012b" for p in operation.parameters
            if p.location == "path"}  # fmt: skip
    values, violations = validator(operation_id).parameters(path, text.encode(), {})
    return values["query"], found(violations)


class TestQuery:
    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("", {}),
            ("limit=5&page=2", {"limit": 5, "page": 2}),
            ("is_archived=true", {"is_archived": True}),
            ("is_archived=false", {"is_archived": False}),
            ("search=a+b%2Bc%26d", {"search": "a b+c&d"}),
            ("search=%C3%A9", {"search": "é"}),
            ("sort=-name", {"sort": "-name"}),
        ],
    )
    def test_is_coerced(self, text: str, values: dict[str, Any]) -> None:
        assert query("list_projects", text) == (values, set())

    @pytest.mark.parametrize(
        ("text", "statuses"),
        [
            ("status=open", ["open"]),
            ("status=open,closed", ["open", "closed"]),
            ("status=open%2Cclosed", ["open", "closed"]),
        ],
    )
    def test_lists_are_separated_by_commas(self, text: str, statuses: list[str]) -> None:
        assert query("list_issues", text) == ({"status": statuses}, set())

    @pytest.mark.parametrize(
        "text",
        ["+5", "%2B5", "1_000", "%D9%A1", "%EF%BC%91", "5.0", "5e0", "0x5", "05", "00", "", "%205",
         "5%20", "--5", "-", "true", "null", "1,2", "9" * 19, "9" * 5000],
    )  # fmt: skip
    def test_integers_are_plainly_decimal(self, text: str) -> None:
        assert query("list_projects", f"limit={text}")[1] == {("limit", "type")}

    @pytest.mark.parametrize(
        ("text", "code"),
        [("0", "minimum"), ("-1", "minimum"), ("-0", "minimum"), ("101", "maximum"),
         ("9" * 18, "maximum")],
    )  # fmt: skip
    def test_integers_are_bounded(self, text: str, code: str) -> None:
        assert query("list_projects", f"limit={text}")[1] == {("limit", code)}

    @pytest.mark.parametrize("text", ["TRUE", "True", "1", "yes", "on", "t", "", " true", "null"])
    def test_booleans_are_true_or_false(self, text: str) -> None:
        assert query("list_projects", f"is_archived={text}")[1] == {("is_archived", "type")}

    @pytest.mark.parametrize(
        ("text", "violations"),
        [
            ("status=", {("status", "enum")}),
            ("status=open,", {("status", "enum")}),
            ("status=open, closed", {("status", "enum")}),
            ("status=Open", {("status", "enum")}),
            ("status=open,open", {("status", "uniqueItems")}),
            ("status=open&status=closed", {("status", "duplicate")}),
            ("assignee=nobody", {("assignee", "pattern")}),
            ("sort=title", {("sort", "enum")}),
            ("render=HTML", {("render", "enum")}),
            ("search=", {("search", "minLength")}),
            ("search=%20%09", {("search", "pattern")}),
            ("search=" + "a" * 201, {("search", "maxLength")}),
            ("cursor=a%2Fb", {("cursor", "pattern")}),
            ("Limit=5", {("Limit", "unknown_parameter")}),
            ("limit[]=5", {("limit[]", "unknown_parameter")}),
            ("=5", {("", "unknown_parameter")}),
            ("limit=5;page=2", {("limit", "type")}),
        ],
    )
    def test_says_what_is_wrong(self, text: str, violations: set[tuple[str, str]]) -> None:
        assert query("list_issues", text)[1] == violations

    def test_says_everything_that_is_wrong(self) -> None:
        text = "limit=0&page=x&sort=y&what=1&sort=name"
        assert query("list_projects", text)[1] == {
            ("limit", "minimum"), ("page", "type"), ("sort", "duplicate"),
            ("what", "unknown_parameter"),
        }  # fmt: skip

    def test_knows_the_defaults_of_the_contract(self) -> None:
        operation = CONTRACT.operations["list_comments"]
        assert query_defaults(operation, CONTRACT) == {
            "sort": "created_at", "limit": 20, "page": None, "cursor": None, "render": None,
        }  # fmt: skip


class TestPath:
    @pytest.mark.parametrize(
        "text", ["TLS-42", "A0-1", "tls-42", "Tls-42", "01955b4e-2e03-7a42-8503-ac43ac35012b",
                 "01955B4E-2E03-7A42-8503-AC43AC35012B"],
    )  # fmt: skip
    def test_an_issue_is_named_by_id_or_key(self, text: str) -> None:
        _, violations = validator("get_issue").parameters({"issue_id": text}, b"", {})
        assert violations == []

    @pytest.mark.parametrize(
        "text", ["TLS-0", "TLS-01", "T-1", "TLS42", "TLS-4294967296", "TLS-42\n", "",
                 "01955b4e2e037a428503ac43ac35012b", "{01955b4e-2e03-7a42-8503-ac43ac35012b}",
                 "urn:uuid:01955b4e-2e03-7a42-8503-ac43ac35012b", "TLS-٤٢"],
    )  # fmt: skip
    def test_anything_else_is_refused(self, text: str) -> None:
        _, violations = validator("get_issue").parameters({"issue_id": text}, b"", {})
        assert {place for place, _ in found(violations)} == {"issue_id"}

    @pytest.mark.parametrize("text", ["x", "01955b4e2e037a428503ac43ac35012b", "01955b4e-2e03"])
    def test_other_ids_are_uuids(self, text: str) -> None:
        _, violations = validator("get_comment").parameters({"comment_id": text}, b"", {})
        assert found(violations) == {("comment_id", "format")}

    @pytest.mark.parametrize(
        ("text", "code"),
        [("T", "minLength"), ("1TLS", "pattern"), ("TLS-1", "pattern"), ("A" * 11, "pattern"),
         ("01955b4e2e037a428503ac43ac35012b", "pattern"), ("TLS\n", "pattern")],
    )  # fmt: skip
    def test_what_can_be_no_projects_key_is_refused(self, text: str, code: str) -> None:
        _, violations = validator("get_project").parameters({"project_id": text}, b"", {})
        assert found(violations) == {("project_id", code)}


class TestBody:
    def test_says_everything_that_is_wrong(self) -> None:
        body = b'{"title": "", "priority": 3, "due_date": "2025-02-30", "x": 1, "y": 2}'
        assert in_body("create_issue", body) == {
            ("/title", "minLength"), ("/priority", "enum"),
            ("/priority", "type"), ("/due_date", "format"), ("/x", "additionalProperties"),
            ("/y", "additionalProperties"),
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("body", "violations"),
        [
            (b"null", {("", "type")}),
            (b"[]", {("", "type")}),
            (b'"title"', {("", "type")}),
            (b"{}", {("/title", "required")}),
            (b'{"title": null}', {("/title", "type")}),
            (b'{"title": 1}', {("/title", "type")}),
            (b'{"title": " \\t "}', {("/title", "pattern")}),
            (b'{"title": "a\\nb"}', {("/title", "pattern")}),
            (b'{"title": "a\\u0000b"}', {("/title", "pattern")}),
            (b'{"title": "a", "assignee_id": "x"}', {("/assignee_id", "format")}),
            (b'{"title": "a", "reporter_id": null}', {("/reporter_id", "additionalProperties")}),
            (b'{"title": "a", "~/": 1}', {("/~0~1", "additionalProperties")}),
            (b'{"title": "a", "due_date": "2025-3-1"}', {("/due_date", "format")}),
            (b'{"title": "a", "due_date": "0999-03-01"}', {("/due_date", "pattern")}),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong_and_where(
        self, body: bytes, violations: set[tuple[str, str]]
    ) -> None:
        assert in_body("create_issue", body) == violations

    @pytest.mark.parametrize("operation", ["update_issue", "update_project"])
    def test_a_patch_changes_something(self, operation: str) -> None:
        assert in_body(operation, b"{}") == {("", "minProperties")}

    @pytest.mark.parametrize("names", [{}, {"email": "ada@example.com", "username": "ada"}])
    def test_a_login_names_exactly_one_account(self, names: dict[str, str]) -> None:
        body = httpx.Request("POST", "http://t", json={"password": "x", **names}).content
        violations = validator("login").body(JSON, body)[1]
        assert [(v.pointer, v.code, v.detail) for v in violations] == [
            ("", "oneOf", "must have exactly one of email, username")
        ]

    @pytest.mark.parametrize("media_type", [None, JSON])
    def test_is_required_where_the_contract_says_so(self, media_type: str | None) -> None:
        value, violations = validator("login").body(media_type, b"")
        assert (value, found(violations)) == ({}, {("", "required")})

    @pytest.mark.parametrize("media_type", [None, JSON])
    @pytest.mark.parametrize("operation", ["rotate_api_key", "rotate_webhook_secret"])
    def test_may_be_missing_where_nothing_in_it_is_required(
        self, operation: str, media_type: str | None
    ) -> None:
        assert validator(operation).body(media_type, b"") == ({}, [])

    @pytest.mark.parametrize("media_type", [None, "text/plain", "application/xml", "text/json"])
    def test_of_another_type_is_not_read(self, media_type: str | None) -> None:
        with pytest.raises(MediaTypeNotSupported) as refusal:
            validator("login").body(media_type, b"{}")
        assert refusal.value.headers == {"Accept": JSON}

    def test_that_is_not_json_is_malformed(self) -> None:
        with pytest.raises(RequestMalformed):
            validator("login").body(JSON, b"{")

    @pytest.mark.parametrize("operation", ["get_me", "redirect_login"])
    def test_is_ignored_where_nobody_would_heed_it(self, operation: str) -> None:
        assert validator(operation).body("text/plain", b"hello") == (None, [])

    @pytest.mark.parametrize(
        ("media_type", "content"),
        [(None, b""), (JSON, b""), ("text/plain", b""), (JSON, b"{}"), (JSON, b" { } ")],
    )
    def test_may_be_empty_where_there_is_none(self, media_type: str | None, content: bytes) -> None:
        assert validator("restore_user").body(media_type, content) == (None, [])

    @pytest.mark.parametrize("content", [b'{"role": "auditor"}', b"[]", b"null", b'""'])
    def test_is_refused_where_there_is_none(self, content: bytes) -> None:
        (violation,) = validator("restore_user").body(JSON, content)[1]
        assert found([violation]) == {("", "unexpected_body")}
        assert violation.detail == "this operation takes no body"

    @pytest.mark.parametrize("media_type", [None, "text/plain", "text/json"])
    def test_of_another_type_is_refused_where_there_is_none(self, media_type: str | None) -> None:
        with pytest.raises(MediaTypeNotSupported) as refusal:
            validator("delete_user").body(media_type, b"x")
        assert refusal.value.headers == {"Accept": JSON}


class TestWords:
    """What people are told; in other languages, too."""

    @pytest.mark.parametrize(
        ("operation", "body", "detail"),
        [
            ("create_project", {"name": "T", "key": "tls"},
             "must be 2 to 10 capital letters and digits, beginning with a letter"),
            ("create_project", {"name": " "},
             "must be more than blanks, without line breaks or other control characters"),
            ("create_project", {"name": "T", "description": "a\0b"},
             "has characters that are not allowed here, or lacks required ones"),
            ("create_project", {"name": "T", "id": "x"}, "cannot be set or changed here"),
            ("create_project", {"name": "T", "colour": "x"}, "is not known here"),
            ("create_issue", {"title": "T", "reporter_id": "x"}, "cannot be set or changed here"),
            ("update_issue", {"project_id": "x"}, "cannot be set or changed here"),
            ("update_project", {"key": "TLS"}, "cannot be set or changed here"),
            ("update_user", {"email": "a@example.com"}, "cannot be set or changed here"),
            ("update_api_key", {"scopes": []}, "cannot be set or changed here"),
            ("update_organisation", {"slug": "Tidal Library"},
             "must be lower-case letters and digits, with single hyphens between them"),
        ],
    )  # fmt: skip
    def test_are_about_what_was_sent(self, operation: str, body: Any, detail: str) -> None:
        content = httpx.Request("POST", "http://t", json=body).content
        (violation,) = validator(operation).body(JSON, content)[1]
        assert violation.detail == detail
        assert len({violation.detail.in_language(each) for each in LANGUAGES}) == len(LANGUAGES)

    def test_of_a_member_within_another_are_not_about_the_answer(self) -> None:
        body = b'{"name": "T", "colour": {"id": 1}}'
        (violation,) = validator("create_project").body(JSON, body)[1]
        assert violation.detail == "is not known here"

    @pytest.mark.parametrize(
        ("text", "detail"),
        [
            ("assignee=nobody", "must be the id of a person, `me` or `none`"),
            ("reporter=nobody", "must be the id of a person, or `me`"),
            ("cursor=a%2Fb", "must be a cursor as a list gave it"),
        ],
    )
    def test_of_parameters_are_the_hints_of_the_contract(self, text: str, detail: str) -> None:
        operation = validator("list_issues")
        path = {"project_id": "01955b4e-2e03-7a42-8503-ac43ac35012b"}
        (violation,) = operation.parameters(path, text.encode(), {})[1]
        assert (violation.code, violation.detail) == ("pattern", detail)

    def test_of_an_issue_say_what_it_may_be_called_by(self) -> None:
        (violation,) = validator("get_issue").parameters({"issue_id": "TLS-0"}, b"", {})[1]
        assert violation.detail == "must be the id of an issue, or its key such as TLS-42"


class TestViolations:
    @pytest.mark.parametrize("name", ["n" * 10_000, "~" * 10_000, "é" * 10_000])
    def test_long_names_are_cut(self, name: str) -> None:
        body = httpx.Request("POST", "http://t", json={"title": "a", name: 1}).content
        (violation,) = validator("create_issue").body(JSON, body)[1]
        pointer = violation.pointer or ""
        assert pointer.startswith("/" + name[0])
        assert pointer.endswith("…")
        assert len(pointer.replace("~0", "~")) == 1 + MAX_NAME
        _, violations = query("list_projects", f"{'n' * 5000}=1&{'n' * 5000}=2")
        assert {len(place) for place, _ in violations} == {MAX_NAME}

    def test_are_at_most_a_hundred(self) -> None:
        body = httpx.Request("POST", "http://t", json={f"f{n}": 1 for n in range(500)}).content
        violations = validator("create_issue").body(JSON, body)[1]
        with pytest.raises(RequestInvalid) as refusal:
            require_valid(violations)
        assert len(refusal.value.errors) == 100

    def test_none_is_no_refusal(self) -> None:
        require_valid([])


class TestOverHttp:
    """The same, from the outside."""

    def test_path_query_and_body_are_reported_together(
        self, world: World, contract: Contract
    ) -> None:
        response = world.create_org().manager.post(
            "/api/projects/x/issues?dry=1", {"title": 1, "labels": []}
        )
        assert response.status_code == 400
        errors = response.json()["errors"]
        assert {(e.get("parameter") or e["pointer"], e["code"]) for e in errors} == {
            ("project_id", "minLength"), ("dry", "unknown_parameter"), ("/title", "type"),
            ("/labels", "additionalProperties"),
        }  # fmt: skip

    @pytest.mark.parametrize(
        "body",
        [
            {"email": "hunter2", "username": "hunter2 ", "password": "hunter2"},
            {"email": "ada@example.com", "username": "ada", "password": ["hunter2"]},
            {"email": "ada@example.com", "username": "ada", "password": "hunter2" * 200},
            {"email": "ada@example.com", "username": "ada", "password": "hunter2\0"},
            {"password": {"hunter": "hunter2"}, "org_id": "hunter2"},
            ["hunter2"],
            "hunter2",
        ],
    )
    @pytest.mark.parametrize("path", ["/api/auth/register", "/api/auth/login"])
    def test_what_was_sent_is_never_repeated(
        self, anonymous: httpx.Client, path: str, body: Any
    ) -> None:
        response = anonymous.post(path, json=body)
        assert response.status_code == 400
        assert "hunter2" not in response.text

    def test_who_you_are_comes_before_what_you_send(self, anonymous: httpx.Client) -> None:
        response = anonymous.post("/api/projects?x=1", content=b"{")
        assert (response.status_code, response.json()["code"]) == (401, "authentication_required")

    def test_what_you_may_comes_before_what_you_send(self, world: World) -> None:
        response = world.create_org().auditor.post("/api/projects?x=1", {"y": 1})
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_large_bodies_are_checked_like_small_ones(self, world: World, size: int) -> None:
        """Beyond 16 kB they are parsed in a thread."""
        response = world.create_org().manager.post("/api/projects", {"x": "a" * size})
        assert [error["pointer"] for error in response.json()["errors"]] == ["/x", "/name"]
