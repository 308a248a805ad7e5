"""The contract and the code, held to each other both ways."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

import bugtracker
from bugtracker import handlers
from bugtracker.contract import Contract, Operation, load_contract
from bugtracker.errors import all_errors
from bugtracker.messages import LANGUAGES
from bugtracker.routing import handlers_of
from bugtracker.security.permissions import ACCOUNT, PARTNER, PERMISSIONS, permissions_of

CONTRACT = load_contract()
OPERATIONS = list(CONTRACT.operations.values())
COMPONENTS = CONTRACT.document["components"]
CODE = Path(bugtracker.__file__).parent

# What the layers around the operations answer, on any path: described in the introduction.
OUTSIDE_OPERATIONS = {"MethodNotAllowed", "OriginNotAllowed"}
OF_ALL_OPERATIONS = {"#/components/parameters/AcceptLanguage"}
EVERYWHERE = {"400", "408", "413", "414", "415", "500"}
WITHOUT_DATABASE = {"get_health", "redirect_register", "redirect_login"}

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)


def walk(node: Any) -> Iterator[Any]:
    """Every object and array in a document."""
    yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from walk(child)


def references(node: Any) -> set[str]:
    return {part["$ref"] for part in walk(node) if isinstance(part, dict) and "$ref" in part}


def codes_of(response: Any) -> set[str]:
    """The error codes a response documents."""
    content = CONTRACT.resolve(response).get("content", {})
    return set(content.get("application/problem+json", {}).get("examples", {}))


def tagged(operation: Operation | None) -> bool:
    """Whether an operation answers with an item that has an ETag."""
    response = {} if operation is None else operation.raw["responses"].get("200", {})
    return "ETag" in CONTRACT.resolve(response).get("headers", {})


def reading_of(operation: Operation) -> Operation | None:
    """The GET of the same path, if there is one."""
    same = (o for o in OPERATIONS if o.path == operation.path and o.method == "get")
    return next(same, None)


class TestDocument:
    def test_is_valid_openapi(self) -> None:
        errors = [e.message for e in OpenAPIV30SpecValidator(CONTRACT.document).iter_errors()]
        assert errors == []

    def test_refers_to_its_own_components_only(self) -> None:
        pattern = re.compile(r"#/components/\w+/\w+")
        assert [ref for ref in references(CONTRACT.document) if not pattern.fullmatch(ref)] == []

    def test_every_component_is_used(self) -> None:
        named = {f"#/components/{kind}/{name}" for kind in COMPONENTS for name in COMPONENTS[kind]}
        unused = named - references(CONTRACT.document)
        outside = {f"#/components/responses/{name}" for name in OUTSIDE_OPERATIONS}
        schemes = {f"#/components/securitySchemes/{name}" for name in ("bearer", "partner")}
        assert unused - outside - OF_ALL_OPERATIONS == schemes

    def test_the_languages_are_those_of_the_program(self) -> None:
        schemas, headers = COMPONENTS["schemas"], COMPONENTS["headers"]
        for schema in ("Me", "MeUpdate"):
            enum = schemas[schema]["properties"]["language"]["enum"]
            assert enum == [*LANGUAGES, None]
        assert headers["ContentLanguage"]["schema"]["enum"] == list(LANGUAGES)
        for text in (COMPONENTS["parameters"]["AcceptLanguage"], CONTRACT.document["info"]):
            assert "Accept-Language" in f"{text}"

    def test_every_problem_says_which_language_it_is_in(self) -> None:
        for response in COMPONENTS["responses"].values():
            is_problem = "application/problem+json" in response.get("content", {})
            assert ("Content-Language" in response["headers"]) == is_problem

    def test_the_introduction_names_what_any_path_can_answer(self) -> None:
        introduction = CONTRACT.document["info"]["description"]
        for name in OUTSIDE_OPERATIONS:
            for code in codes_of(COMPONENTS["responses"][name]):
                assert f"`{code}`" in introduction

    def test_is_served_as_it_is(self, anonymous: httpx.Client) -> None:
        assert anonymous.get("/openapi.json").json() == CONTRACT.document

    def test_connexion_gets_no_error_responses(self) -> None:
        statuses = {
            status
            for item in CONTRACT.for_connexion()["paths"].values()
            for operation in item.values()
            for status in operation["responses"]
        }
        assert {s for s in statuses if s[0] in "45"} == set()


class TestOperation:
    @each_operation
    def test_is_one_handler_with_its_path_parameters_as_arguments(
        self, operation: Operation
    ) -> None:
        handler = handlers_of(CONTRACT)[operation.id]
        _, *arguments = inspect.signature(handler).parameters
        in_path = [p.name for p in operation.parameters if p.location == "path"]
        assert arguments == in_path == re.findall(r"{(\w+)}", operation.path)

    @each_operation
    def test_its_handler_says_where_it_is(self, operation: Operation) -> None:
        first_line = (handlers_of(CONTRACT)[operation.id].__doc__ or "").split("\n")[0]
        assert first_line.startswith(f"{operation.method.upper()} {operation.path}")

    @each_operation
    def test_is_public_or_needs_a_permission_that_exists(self, operation: Operation) -> None:
        if operation.raw.get("x-public"):
            assert operation.permission is None
            assert operation.raw["security"] == []
        elif operation.permission == PARTNER:
            assert operation.raw["security"] == [{"partner": []}]
        else:
            assert operation.permission in {*PERMISSIONS, ACCOUNT}
            assert "security" not in operation.raw

    @each_operation
    def test_is_described(self, operation: Operation) -> None:
        assert 5 < len(operation.raw["summary"]) <= 60
        assert operation.raw["description"].strip()
        assert set(operation.tags) <= {tag["name"] for tag in CONTRACT.document["tags"]}

    @each_operation
    def test_documents_the_errors_that_all_share(self, operation: Operation) -> None:
        expected = set(EVERYWHERE)
        if "health" not in operation.tags:
            expected |= {"429"}
        if operation.id not in WITHOUT_DATABASE:
            expected |= {"503"}
        if operation.permission is not None:
            # A partner is nobody anywhere: it may do all that is for partners, and nothing else.
            expected |= {"401"} if operation.permission == PARTNER else {"401", "403"}
        if "{" in operation.path:
            expected |= {"404"}
        headers = {p.name for p in operation.parameters if p.location == "header"}
        if "If-Match" in headers:
            expected |= {"412"}
        if "If-None-Match" in headers:
            expected |= {"304"}
        assert expected - set(operation.raw["responses"]) == set()

    @each_operation
    def test_changes_of_items_are_conditional(self, operation: Operation) -> None:
        headers = {p.name for p in operation.parameters if p.location == "header"}
        # Sessions have no version: they only end.
        item = reading_of(operation)
        of_item = operation.method == "patch" or (operation.method == "delete" and tagged(item))
        assert ("If-Match" in headers) == of_item
        assert ("If-None-Match" in headers) == (operation.method == "get" and tagged(operation))

    @each_operation
    def test_every_answer_has_an_example_and_a_request_id(self, operation: Operation) -> None:
        for status, reference in operation.raw["responses"].items():
            response = CONTRACT.resolve(reference)
            assert "X-Request-Id" in response["headers"], status
            for media in response.get("content", {}).values():
                assert media["examples"], status


class TestHandlers:
    def test_every_public_function_is_an_operation(self) -> None:
        modules = {path.stem for path in Path(handlers.__path__[0]).glob("*.py")}
        tags = {tag["name"] for tag in CONTRACT.document["tags"]}
        assert modules - {"__init__", "items"} == tags
        found = {
            name
            for tag in tags
            for name, function in inspect.getmembers(
                importlib.import_module(f"bugtracker.handlers.{tag}"), inspect.isfunction
            )
            if function.__module__ == f"bugtracker.handlers.{tag}" and not name.startswith("_")
        }
        assert found == set(CONTRACT.operations)


def raised_codes() -> set[str]:
    """The codes of the error classes that the code makes instances of, or hands on to be made."""
    classes = {error.__name__: error.code for error in all_errors()}
    names: set[str] = set()
    for path in CODE.rglob("*.py"):
        if path.name != "errors.py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names |= _made_by(node)
    return {classes[name] for name in names & classes.keys()}


def _made_by(node: ast.AST) -> set[str]:
    made: list[ast.expr] = []
    if isinstance(node, ast.Call):
        is_test = isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        made = [node.func, *([] if is_test else node.args)]
    elif isinstance(node, ast.arguments):
        made = node.defaults
    return {part.id for part in made if isinstance(part, ast.Name)}


class TestErrors:
    def test_each_code_raised_is_documented_and_each_documented_code_is_raised(self) -> None:
        documented: set[str] = set().union(*map(codes_of, COMPONENTS["responses"].values()))
        assert documented == raised_codes()

    def test_each_code_has_its_class_status_and_title(self) -> None:
        classes = {error.code: error for error in all_errors()}
        for name, example in COMPONENTS["examples"].items():
            value = example["value"]
            if isinstance(value, dict) and "request_id" in value:
                error = classes[name]
                told = (value["code"], value["status"], value["title"], value["type"])
                urn = f"urn:bugtracker:problem:{name}"
                assert told == (name, error.status, error.title, urn)

    def test_each_response_lists_codes_of_its_own_status(self) -> None:
        statuses = {error.code: str(error.status) for error in all_errors()}
        for operation in OPERATIONS:
            for status, response in operation.raw["responses"].items():
                assert {statuses[code] for code in codes_of(response)} <= {status}

    def test_codes_begin_with_a_noun_and_are_unique(self) -> None:
        by_code: dict[str, set[tuple[int, str]]] = {}
        for error in all_errors():
            assert re.fullmatch(r"[a-z]+(_[a-z]+)+", error.code)
            by_code.setdefault(error.code, set()).add((error.status, error.title))
        assert {code for code, kinds in by_code.items() if len(kinds) > 1} == set()


class TestExamples:
    def test_me_lists_what_the_role_may_do(self) -> None:
        value = COMPONENTS["examples"]["Me"]["value"]
        assert value["permissions"] == permissions_of(value["role"])


def bundle(tmp_path: Path, **files: str) -> Contract:
    """The contract made of these files; ``root`` is the root."""
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return load_contract(tmp_path / "root.yaml")


ROOT = """
openapi: 3.0.3
info: {title: T, version: '0'}
paths: {%s}
components: {schemas: {A: {$ref: 'part.yaml#/schemas/A'}}}
"""
PART = "schemas: {A: {type: object, properties: {day: {type: string, example: 2025-01-01}}}}"
OPERATION = "{operationId: %s, tags: [t], x-public: true, responses: {}}"


class TestBundler:
    def test_names_components_and_keeps_dates_as_text(self, tmp_path: Path) -> None:
        document = bundle(tmp_path, root=ROOT % "", part=PART).document
        day = document["components"]["schemas"]["A"]["properties"]["day"]
        assert day["example"] == "2025-01-01"
        assert document["info"]["version"] == bugtracker.__version__

    @pytest.mark.parametrize(
        ("paths", "part", "reason"),
        [
            ("", "schemas: {}", r"part\.yaml#/schemas/A leads nowhere"),
            ("/a: {$ref: 'none.yaml#/a'}", PART, r"none\.yaml#/a leads nowhere"),
            (
                "",
                "schemas: {A: {allOf: [{$ref: 'part.yaml#/schemas/B'}]}, B: {}}",
                r"part\.yaml#/schemas/B is not a component that the root names",
            ),
            ("/a: {parameters: [], get: %s}" % (OPERATION % "a"), PART, "in each operation"),
            (f"/a: {{get: {OPERATION % 'a'}, put: {OPERATION % 'a'}}}", PART, "called a"),
            ("/a: {get: {operationId: a, tags: [t]}}", PART, "neither x-permission nor x-public"),
            ("/a: {get: {operationId: a, x-public: true}}", PART, "no tag"),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong(self, tmp_path: Path, paths: str, part: str, reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            bundle(tmp_path, root=ROOT % paths, part=part)
