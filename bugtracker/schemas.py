"""The contract's schemas, compiled: each with those components alone that it leads to.

Compiling all components with every schema would cost seconds and hundreds of megabytes at start-up.
"""

from collections.abc import Iterator

import orjson
from jsonschema_rs import Draft202012Validator

from bugtracker.contract import Contract, Json

COMPONENT = "#/components/schemas/"


def to_2020_12(schema: Json) -> Json:
    """An OpenAPI 3.0 schema as JSON Schema 2020-12: ``nullable`` becomes a type."""
    if isinstance(schema, list):
        return [to_2020_12(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {key: to_2020_12(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        converted["type"] = [schema["type"], "null"]
    return converted


class Schemas:
    """The components of a contract, to compile schemas with."""

    def __init__(self, contract: Contract) -> None:
        self._components: dict[str, Json] = {
            name: to_2020_12(schema)
            for name, schema in contract.document["components"]["schemas"].items()
        }
        self._compiled: dict[bytes, Draft202012Validator] = {}

    def compile(self, schema: Json) -> Draft202012Validator:
        """A validator of an OpenAPI 3.0 schema; formats are checked, too.

        Many operations take the same parameters: what is alike is compiled once."""
        written = orjson.dumps(schema)
        if written not in self._compiled:
            self._compiled[written] = self._compile(schema)
        return self._compiled[written]

    def _compile(self, schema: Json) -> Draft202012Validator:
        converted = to_2020_12(schema)
        components = {"schemas": self._reachable(converted)}
        return Draft202012Validator({**converted, "components": components}, validate_formats=True)

    def _reachable(self, schema: Json) -> dict[str, Json]:
        found: dict[str, Json] = {}
        pending = list(_references(schema))
        while pending:
            name = pending.pop()
            if name not in found:
                found[name] = self._components[name]
                pending += _references(found[name])
        return found


def _references(schema: Json) -> Iterator[str]:
    """The names of the components that a schema names, wherever."""
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(COMPONENT)
            else:
                yield from _references(value)
