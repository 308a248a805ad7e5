"""Bundles the files of the contract into one document.

The files below ``openapi/`` refer to each other by relative file references. Bundling turns every
reference to a component that the root names into ``#/components/…``, so that client generators
see the names, and inlines path items.
"""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bugtracker import __version__
from bugtracker.problems import PROBLEM_MEDIA_TYPE
from bugtracker.samples import add_samples

Json = Any


class _Loader(yaml.CSafeLoader):
    """YAML as JSON sees it: dates stay strings."""


_Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def bundle(root: Path) -> Json:
    """The document below ``root``.

    ValueError for a reference that leads nowhere or to something the root does not name.
    """
    return _Bundler(root).bundle()


def as_yaml(document: Json) -> bytes:
    """The document as people read it, in UTF-8."""
    # The dumper in C, a fifth as long as the one in Python.
    written: bytes = yaml.dump(
        document,
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        encoding="utf-8",
    )
    return written


def at(node: Json, pointer: str) -> Json:
    """What a JSON pointer leads to; KeyError where that is nothing."""
    for part in pointer.strip("/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


@cache
def _beside(file: Path, name: str) -> Path:
    """Some files are named thousands of times, and each step of a path costs a system call."""
    return (file.parent / name).resolve()


class _Bundler:
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._files: dict[Path, Json] = {}
        self._names: dict[tuple[Path, str], str] = {}

    def bundle(self) -> Json:
        document = copy.deepcopy(self._file(self._root))
        document["info"]["version"] = __version__
        index = document.get("components", {})
        for kind, entries in index.items():
            for name, node in entries.items():
                if "$ref" in node:
                    self._names[self._target(self._root, node["$ref"])] = (
                        f"#/components/{kind}/{name}"
                    )
        document["components"] = {
            kind: {name: self._definition(node) for name, node in entries.items()}
            for kind, entries in index.items()
        }
        for name, schema in document["components"].get("schemas", {}).items():
            document["components"]["schemas"][name] = _sparse(document, schema)
        for response in document["components"].get("responses", {}).values():
            _in_a_language(response)
        document["paths"] = {
            path: self._definition(node) for path, node in document["paths"].items()
        }
        add_samples(document, self._root.parent / "samples")
        return document

    def _definition(self, node: Json) -> Json:
        """An entry of the root's index, with its own reference followed."""
        if set(node) != {"$ref"}:
            return self._rewrite(node, self._root)
        file, pointer = self._target(self._root, node["$ref"])
        try:
            return self._rewrite(at(self._file(file), pointer), file)
        except (KeyError, FileNotFoundError) as error:
            raise ValueError(f"{self._root.name}: {node['$ref']} leads nowhere") from error

    def _rewrite(self, node: Json, file: Path) -> Json:
        if isinstance(node, list):
            return [self._rewrite(item, file) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str):
            return {"$ref": self._named(file, reference)}
        return {key: self._rewrite(value, file) for key, value in node.items()}

    def _named(self, file: Path, reference: str) -> str:
        if file == self._root and reference.startswith("#/components/"):
            return reference
        target = self._target(file, reference)
        if target not in self._names:
            raise ValueError(f"{file.name}: {reference} is not a component that the root names")
        return self._names[target]

    def _target(self, file: Path, reference: str) -> tuple[Path, str]:
        name, _, pointer = reference.partition("#")
        return _beside(file, name) if name else file, pointer

    def _file(self, path: Path) -> Json:
        if path not in self._files:
            self._files[path] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # nosec
        return self._files[path]


def _sparse(document: Json, schema: Json) -> Json:
    """The schema itself, or with ``x-fields-of`` another one of which only the id is required."""
    if "x-fields-of" not in schema:
        return schema
    whole = copy.deepcopy(at(document, schema["x-fields-of"]["$ref"].removeprefix("#")))
    return {**whole, "description": schema["description"], "required": ["id"]}


def _in_a_language(response: Json) -> None:
    """Every problem has the header that says which language it is in."""
    if PROBLEM_MEDIA_TYPE in response.get("content", {}):
        header = {"$ref": "#/components/headers/ContentLanguage"}
        response["headers"] = {**response.get("headers", {}), "Content-Language": header}
