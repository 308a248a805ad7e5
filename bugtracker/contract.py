"""Loads the hand-written contract once and bundles it into one document.

The files below ``openapi/`` refer to each other by relative file references. Bundling turns every
reference to a component that the root names into ``#/components/…``, so that client generators
see the names, and inlines path items. Everything else reads the resulting :class:`Contract`.
"""

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml

from bugtracker import __version__
from bugtracker.problems import PROBLEM_MEDIA_TYPE
from bugtracker.samples import add_samples
from bugtracker.settings import PROJECT_ROOT

ROOT_FILE = PROJECT_ROOT / "openapi" / "bugtracker.yaml"
METHODS = ("get", "put", "post", "delete", "patch")

Json = Any


class _Loader(yaml.CSafeLoader):
    """YAML as JSON sees it: dates stay strings."""


_Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation, its schema still holding ``#/components`` references."""

    name: str
    location: Literal["path", "query", "header"]
    required: bool
    schema: Json


@dataclass(frozen=True)
class Operation:
    """What the program needs to know of one operation of the contract."""

    id: str
    method: str
    path: str
    tags: tuple[str, ...]
    permission: str | None
    """``x-permission``: None exactly for public operations."""
    rate_limit: str | None
    """``x-rate-limit``: the name of a limit of its own."""
    parameters: tuple[Parameter, ...]
    body: Json | None
    """Schema of the JSON body, None where there is none."""
    body_required: bool
    media_types: tuple[str, ...]
    raw: Json
    """The operation as it stands in the bundled document."""


class Contract:
    """The bundled document and the operations in it."""

    def __init__(self, document: Json) -> None:
        """ValueError for an operation that is not as the rest of the program relies on."""
        self.document = document
        self.operations: dict[str, Operation] = {}
        for operation in _operations(document):
            if operation.id in self.operations:
                raise ValueError(f"two operations are called {operation.id}")
            self.operations[operation.id] = operation

    @cached_property
    def json_bytes(self) -> bytes:
        """The document as served at ``/openapi.json``."""
        return orjson.dumps(self.document)

    @cached_property
    def yaml_bytes(self) -> bytes:
        """The document as served at ``/openapi.yaml``."""
        # The dumper in C, a fifth as long: with the one in Python it was a quarter of our start-up.
        written: bytes = yaml.dump(
            self.document,
            Dumper=yaml.CSafeDumper,
            sort_keys=False,
            allow_unicode=True,
            width=100,
            encoding="utf-8",
        )
        return written

    @cached_property
    def etag(self) -> str:
        """Changes exactly when the document does."""
        return f'"{hashlib.sha256(self.json_bytes).hexdigest()[:32]}"'

    @cached_property
    def methods_by_path(self) -> dict[str, frozenset[str]]:
        """The methods (upper case) of each path template."""
        found: dict[str, set[str]] = {}
        for operation in self.operations.values():
            found.setdefault(operation.path, set()).add(operation.method.upper())
        return {path: frozenset(methods) for path, methods in found.items()}

    def for_connexion(self) -> Json:
        """A copy without error responses and other media types.

        Connexion refuses handlers' plain results where an operation documents several media
        types, and it has no use for the errors: ours are made elsewhere.
        """
        document = copy.deepcopy(self.document)
        # Its router tries one path after the other: those that are asked for most come first.
        busy = {path: document["paths"].pop(path) for path in BUSY_PATHS}
        document["paths"] = {**busy, **document["paths"]}
        for response in document["components"]["responses"].values():
            for media_type in list(response.get("content", ()))[1:]:
                del response["content"][media_type]
        for item in document["paths"].values():
            for method in METHODS:
                if method in item:
                    responses = item[method]["responses"]
                    item[method]["responses"] = {
                        status: response
                        for status, response in responses.items()
                        if status.startswith("2")
                    } or {"default": {"description": "see the contract"}}
        return document

    def resolve(self, node: Json) -> Json:
        """The node itself, or what its ``$ref`` points to."""
        while isinstance(node, dict) and "$ref" in node:
            node = _at(self.document, node["$ref"].removeprefix("#"))
        return node


BUSY_PATHS = (
    "/api/issues/{issue_id}",
    "/api/projects/{project_id}/issues",
    "/api/issues",
    "/api/issues/{issue_id}/comments",
    "/api/comments/{comment_id}",
    "/api/projects",
    "/api/projects/{project_id}",
    "/api/events",
)


@cache
def load_contract(root: Path = ROOT_FILE) -> Contract:
    """Reads and bundles the contract below ``root``.

    ValueError for a reference that leads nowhere or to something the root does not name.
    """
    return Contract(_Bundler(root).bundle())


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
            return self._rewrite(_at(self._file(file), pointer), file)
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
    whole = copy.deepcopy(_at(document, schema["x-fields-of"]["$ref"].removeprefix("#")))
    return {**whole, "description": schema["description"], "required": ["id"]}


def _in_a_language(response: Json) -> None:
    """Every problem has the header that says which language it is in."""
    if PROBLEM_MEDIA_TYPE in response.get("content", {}):
        header = {"$ref": "#/components/headers/ContentLanguage"}
        response["headers"] = {**response.get("headers", {}), "Content-Language": header}


def _at(node: Json, pointer: str) -> Json:
    for part in pointer.strip("/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def _operations(document: Json) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        # Connexion would check them once per middleware.
        if "parameters" in item:
            raise ValueError(f"{path}: declare parameters in each operation")
        for method in METHODS:
            if method in item:
                yield _operation(document, path, method, item[method])


def _operation(document: Json, path: str, method: str, raw: Json) -> Operation:
    content = raw.get("requestBody", {}).get("content", {})
    bodies = [media["schema"] for media in content.values()]
    if raw.get("x-public") is not True and "x-permission" not in raw:
        raise ValueError(f"{raw['operationId']} has neither x-permission nor x-public")
    if not raw.get("tags"):
        raise ValueError(f"{raw['operationId']} has no tag, which names its module")
    return Operation(
        id=raw["operationId"],
        method=method,
        path=path,
        tags=tuple(raw.get("tags", ())),
        permission=raw.get("x-permission"),
        rate_limit=raw.get("x-rate-limit"),
        parameters=tuple(_parameter(document, node) for node in raw.get("parameters", ())),
        body=bodies[0] if bodies else None,
        body_required=raw.get("requestBody", {}).get("required", False),
        media_types=tuple(content),
        raw=raw,
    )


def _parameter(document: Json, node: Json) -> Parameter:
    node = _at(document, node["$ref"].removeprefix("#")) if "$ref" in node else node
    return Parameter(node["name"], node["in"], node.get("required", False), node["schema"])
