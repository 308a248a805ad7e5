"""The contract's schemas and examples: closed, bounded, and true."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from bugtracker.contract import load_contract
from bugtracker.schemas import to_2020_12

CONTRACT = load_contract()
COMPONENTS = CONTRACT.document["components"]
SCHEMAS = {"schemas": to_2020_12(COMPONENTS["schemas"])}

# They repeat a field's value of whatever type that field has.
OF_ANY_TYPE = {"schemas/FieldChange/old", "schemas/FieldChange/new"}

Found = Iterator[tuple[str, Any]]


def validator(schema: Any) -> Draft202012Validator:
    whole = {**to_2020_12(schema), "components": SCHEMAS}
    return Draft202012Validator(whole, validate_formats=True)


def within(place: str, schema: Any) -> Found:
    """A schema and all schemas in it, each with its place."""
    yield place, schema
    for name, part in schema.get("properties", {}).items():
        yield from within(f"{place}/{name}", part)
    if "items" in schema:
        yield from within(f"{place}/items", schema["items"])
    for keyword in ("allOf", "oneOf", "anyOf"):
        for index, part in enumerate(schema.get(keyword, ())):
            yield from within(f"{place}/{keyword}/{index}", part)


def component_schemas() -> Found:
    for name, schema in COMPONENTS["schemas"].items():
        yield from within(f"schemas/{name}", schema)
    for name, header in COMPONENTS["headers"].items():
        yield from within(f"headers/{name}", header["schema"])


def parameters() -> Found:
    for operation in CONTRACT.operations.values():
        for parameter in operation.parameters:
            yield f"{operation.id}/{parameter.name}", parameter.schema


def bodies() -> Found:
    for operation in CONTRACT.operations.values():
        if operation.body is not None:
            yield operation.id, CONTRACT.resolve(operation.body)


def request_schemas() -> Found:
    for place, schema in [*parameters(), *bodies()]:
        for part, found in within(place, schema):
            yield part, CONTRACT.resolve(found)


def every_schema() -> dict[str, Any]:
    inline = (pair for place, schema in parameters() for pair in within(place, schema))
    return dict([*component_schemas(), *inline])


def sent() -> Iterator[Any]:
    """Every schema of what people send, references followed."""
    pending = [schema for _, schema in [*parameters(), *bodies()]]
    while pending:
        schema = CONTRACT.resolve(pending.pop())
        yield schema
        pending += [*schema.get("properties", {}).values(), *schema.get("allOf", ())]
        pending += [schema["items"]] if "items" in schema else []


each_schema = pytest.mark.parametrize(
    ("place", "schema"), every_schema().items(), ids=every_schema()
)


def bounds_missing(schema: Any) -> set[str]:
    """The keywords without which a value of this schema could be of any size."""
    kind = schema.get("type")
    if "enum" in schema or "$ref" in schema:
        return set()
    needed = {
        "string": {"maxLength"},
        "integer": {"minimum", "maximum", "format"},
        "number": {"minimum", "maximum", "format"},
        "array": {"maxItems", "items"},
        "object": {"additionalProperties", "properties", "description"},
        "boolean": set(),
    }
    return needed[kind] - set(schema)


class TestSchema:
    @each_schema
    def test_is_bounded(self, place: str, schema: Any) -> None:
        if "type" in schema:
            assert bounds_missing(schema) == set()
        elif place in OF_ANY_TYPE:
            assert set(schema) == {"description", "example"}
        else:
            # A reference (with a description beside it), or a choice within a typed schema.
            assert {"$ref", "allOf", "required"} & set(schema)

    @each_schema
    def test_objects_are_closed_and_require_only_what_they_have(
        self, place: str, schema: Any
    ) -> None:
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert set(schema.get("required", ())) <= set(schema["properties"])

    @each_schema
    def test_its_example_and_default_are_valid(self, place: str, schema: Any) -> None:
        for keyword in {"example", "default"} & set(schema):
            assert list(validator(schema).iter_errors(schema[keyword])) == []

    @pytest.mark.parametrize("schema", [s for _, s in request_schemas()],
                             ids=[place for place, _ in request_schemas()])  # fmt: skip
    def test_requests_never_accept_a_nul(self, schema: Any) -> None:
        """PostgreSQL cannot store it."""
        if schema.get("type") == "string":
            text = "\0".rjust(schema.get("minLength", 1), "a")
            assert not validator(schema).is_valid(text)
            assert not validator(schema).is_valid("a" + text)

    def test_write_only_fields_are_never_answered(self) -> None:
        answered = {
            place
            for operation in CONTRACT.operations.values()
            for response in operation.raw["responses"].values()
            for media in CONTRACT.resolve(response).get("content", {}).values()
            for place, schema in within("", CONTRACT.resolve(media["schema"]))
            if CONTRACT.resolve(schema).get("writeOnly")
        }
        assert answered == set()
        assert "writeOnly" in COMPONENTS["schemas"]["Login"]["properties"]["password"]


def answer_examples() -> Iterator[tuple[str, Any, Any]]:
    for operation in CONTRACT.operations.values():
        for status, response in operation.raw["responses"].items():
            for media in CONTRACT.resolve(response).get("content", {}).values():
                for name, example in media["examples"].items():
                    value = CONTRACT.resolve(example)["value"]
                    yield f"{operation.id}-{status}-{name}", media["schema"], value


def body_examples() -> Iterator[tuple[str, Any, Any]]:
    for operation in CONTRACT.operations.values():
        content = operation.raw.get("requestBody", {}).get("content", {})
        for media in content.values():
            for name, example in media["examples"].items():
                yield f"{operation.id}-{name}", media["schema"], example["value"]


EXAMPLES = [*answer_examples(), *body_examples()]


class TestExample:
    @pytest.mark.parametrize(
        ("schema", "value"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES]
    )
    def test_matches_its_schema(self, schema: Any, value: Any) -> None:
        assert [error.message for error in validator(schema).iter_errors(value)] == []

    def test_every_request_body_has_one(self) -> None:
        with_examples = {place.split("-")[0] for place, _, _ in body_examples()}
        assert with_examples == {place for place, _ in bodies()}

    @pytest.mark.parametrize("name", COMPONENTS["headers"])
    def test_of_a_header_matches_its_schema(self, name: str) -> None:
        header = COMPONENTS["headers"][name]
        example = header.get("example", header["schema"].get("enum", [None])[0])
        assert validator(header["schema"]).is_valid(example)

    @pytest.mark.parametrize("name", COMPONENTS["parameters"])
    def test_of_a_parameter_matches_its_schema(self, name: str) -> None:
        parameter = COMPONENTS["parameters"][name]
        if parameter["in"] == "path":
            assert validator(parameter["schema"]).is_valid(parameter["example"])
        else:
            assert parameter.get("example") is None


class TestWithoutNullable:
    """What OpenAPI 3.0 says with ``nullable`` becomes JSON Schema 2020-12."""

    @pytest.mark.parametrize(
        ("schema", "converted"),
        [
            ({"type": "string"}, {"type": "string"}),
            ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
            ({"type": "string", "nullable": False}, {"type": "string"}),
            (
                {"items": [{"type": "integer", "nullable": True}]},
                {"items": [{"type": ["integer", "null"]}]},
            ),
        ],
    )
    def test_converts(self, schema: Any, converted: Any) -> None:
        assert to_2020_12(schema) == converted


class TestHint:
    """``x-hint`` beside a pattern is what somebody is told whose value does not match."""

    def test_stands_beside_every_pattern_but_the_guard_against_nul(self) -> None:
        patterns = {schema["pattern"] for schema in sent() if "pattern" in schema}
        hinted = {schema["pattern"] for schema in sent() if "x-hint" in schema}
        assert patterns - hinted == {r"^[^\u0000]*$"}

    def test_is_the_same_beside_the_same_pattern(self) -> None:
        every = [schema for schema in [*sent(), *every_schema().values()] if "x-hint" in schema]
        told = {(schema["pattern"], schema["x-hint"]) for schema in every}
        assert len(told) == len({pattern for pattern, _ in told})
