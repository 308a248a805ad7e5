"""The contract as the Python generator gives it good names.

It calls what may be null by its place in a list of alternatives: ``ActorType0``,
``MeLanguageType2Type1``. References to a schema that cannot be null keep the schema's name. And
what has alternatives at its top is no class to it, even where they only differ in what is required.
Nor does it know that an answer may have two media types: those of ``fields`` (decision 0023).
"""

import copy
from collections.abc import Iterator
from typing import Any

from bugtracker.includes import SPARSE

Json = Any
JSON = "application/json"


def with_good_names(document: Json) -> Json:
    """A copy in which each object is a component that is neither nullable nor has alternatives."""
    document = copy.deepcopy(document)
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        if "properties" in schema:
            # Whoever sends too little or too much is told by the server.
            schema.pop("oneOf", None)
    _name_properties(schemas)
    nullable = {
        f"#/components/schemas/{name}"
        for name, schema in schemas.items()
        if schema.pop("nullable", False)
    }
    for response in document["components"]["responses"].values():
        _offer_both(response.get("content", {}))
    for node in _nodes(document):
        if node.get("$ref") in nullable:
            node.update(nullable=True, allOf=[{"$ref": node.pop("$ref")}])
    return document


def _offer_both(content: Json) -> None:
    """It reads the schema of one media type: let that be the whole thing's or the sparse one's."""
    if SPARSE in content:
        whole, sparse = (content[name]["schema"] for name in (JSON, SPARSE))
        content[JSON]["schema"] = {"oneOf": [whole, sparse]}


def _name_properties(schemas: Json) -> None:
    """Nullable words and objects become components; equal words share the first one's name."""
    names = {tuple(schema["enum"]): name for name, schema in schemas.items() if "enum" in schema}
    for owner, schema in list(schemas.items()):
        for field, node in schema.get("properties", {}).items():
            if not node.get("nullable") or not {"enum", "properties"} & set(node):
                continue
            moved = [key for key in node if key not in ("nullable", "description")]
            own = {key: node.pop(key) for key in moved}
            name = owner + "".join(part.title() for part in field.split("_"))
            if "enum" in own:
                own["enum"] = [word for word in own["enum"] if word is not None]
                name = names.setdefault(tuple(own["enum"]), name)
            schemas.setdefault(name, own)
            node["allOf"] = [{"$ref": f"#/components/schemas/{name}"}]


def _nodes(node: Json) -> Iterator[Json]:
    """Every object of the document, the innermost first."""
    for child in list(node.values()) if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from _nodes(child)
    if isinstance(node, dict):
        yield node
