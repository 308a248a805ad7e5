"""The contract's schemas and examples: closed, bounded, and true.

There are thousands of them: each test goes through all and names those that are at fault, as a test
for each would take longer to be started than to run.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from bugtracker.contract import load_contract
from bugtracker.schemas import Schemas, to_2020_12

CONTRACT = load_contract()
COMPONENTS = CONTRACT.document["components"]
SCHEMAS = Schemas(CONTRACT)

# They repeat a field's value of whatever type that field has.
OF_ANY_TYPE = {"schemas/FieldChange/old", "schemas/FieldChange/new"}

Found = Iterator[tuple[str, Any]]


def faults(schema: Any, value: Any) -> list[str]:
    """What is wrong with a value, by its schema."""
    return [error.message for error in SCHEMAS.compile(schema).iter_errors(value)]


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


def every_schema() -> Found:
    yield from component_schemas()
    for place, schema in parameters():
        yield from within(place, schema)


def sent() -> Iterator[Any]:
    """Every schema of what people send, references followed."""
    pending = [schema for _, schema in [*parameters(), *bodies()]]
    while pending:
        schema = CONTRACT.resolve(pending.pop())
        yield schema
        pending += [*schema.get("properties", {}).values(), *schema.get("allOf", ())]
        pending += [schema["items"]] if "items" in schema else []


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


def is_bounded(place: str, schema: Any) -> bool:
    if "type" in schema:
        return not bounds_missing(schema)
    if place in OF_ANY_TYPE:
        return set(schema) == {"description", "example"}
    # A reference (with a description beside it), or a choice within a typed schema.
    return bool({"$ref", "allOf", "required"} & set(schema))


def is_closed(schema: Any) -> bool:
    """Whether an object may have nothing unnamed, and requires only what it may have."""
    required = set(schema.get("required", ()))
    return schema["additionalProperties"] is False and required <= set(schema["properties"])


def accepts_a_nul(schema: Any) -> bool:
    text = "\0".rjust(schema.get("minLength", 1), "a")
    validator = SCHEMAS.compile(schema)
    return validator.is_valid(text) or validator.is_valid("a" + text)


class TestSchema:
    def test_is_bounded(self) -> None:
        assert [place for place, schema in every_schema() if not is_bounded(place, schema)] == []

    def test_objects_are_closed_and_require_only_what_they_have(self) -> None:
        objects = [found for found in every_schema() if found[1].get("type") == "object"]
        assert [place for place, schema in objects if not is_closed(schema)] == []
        assert len(objects) > 50

    def test_its_example_and_default_are_valid(self) -> None:
        wrong = {
            f"{place} {keyword}": found
            for place, schema in every_schema()
            for keyword in ("example", "default")
            if keyword in schema and (found := faults(schema, schema[keyword]))
        }
        assert wrong == {}

    def test_requests_never_accept_a_nul(self) -> None:
        """PostgreSQL cannot store it."""
        strings = [found for found in request_schemas() if found[1].get("type") == "string"]
        assert [place for place, schema in strings if accepts_a_nul(schema)] == []
        assert len(strings) > 50

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


class TestExample:
    def test_matches_its_schema(self) -> None:
        examples = [*answer_examples(), *body_examples()]
        found = {place: faults(schema, value) for place, schema, value in examples}
        assert {place: errors for place, errors in found.items() if errors} == {}
        assert len(found) > 1000

    def test_every_request_body_has_one(self) -> None:
        with_examples = {place.split("-")[0] for place, _, _ in body_examples()}
        assert with_examples == {place for place, _ in bodies()}

    def test_of_a_header_matches_its_schema(self) -> None:
        for name, header in COMPONENTS["headers"].items():
            example = header.get("example", header["schema"].get("enum", [None])[0])
            assert faults(header["schema"], example) == [], name

    def test_of_a_parameter_matches_its_schema(self) -> None:
        for name, parameter in COMPONENTS["parameters"].items():
            if parameter["in"] == "path":
                assert faults(parameter["schema"], parameter["example"]) == [], name
            else:
                assert parameter.get("example") is None, name


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
        every = [
            schema
            for schema in [*sent(), *(found for _, found in every_schema())]
            if "x-hint" in schema
        ]
        told = {(schema["pattern"], schema["x-hint"]) for schema in every}
        assert len(told) == len({pattern for pattern, _ in told})
