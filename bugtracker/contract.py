"""What the program knows of the hand-written contract: its operations, and the document."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import orjson

from bugtracker.bundled import Bundle, bundled
from bugtracker.bundling import Json as Json
from bugtracker.bundling import as_yaml, at
from bugtracker.settings import PROJECT_ROOT

ROOT_FILE = PROJECT_ROOT / "openapi" / "bugtracker.yaml"
METHODS = ("get", "put", "post", "delete", "patch")


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
    body_required: bool
    media_types: tuple[str, ...]
    version_required: bool
    """Whether changes have to say which version they change: 428 is documented."""
    contract: "Contract" = field(repr=False, compare=False)

    @property
    def raw(self) -> Json:
        """The operation as it stands in the bundled document."""
        return self.contract.document["paths"][self.path][self.method]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters, in the contract's order."""
        return tuple(_parameter(self.contract, node) for node in self.raw.get("parameters", ()))

    @property
    def body(self) -> Json | None:
        """Schema of the JSON body, None where there is none."""
        return next((media["schema"] for media in _content(self.raw).values()), None)


class Contract:
    """The bundled document and the operations in it."""

    def __init__(self, bundle: Bundle) -> None:
        """ValueError for an operation that is not as the rest of the program relies on."""
        self.json_bytes, self.yaml_bytes = bundle.json, bundle.yaml
        """The document as served at ``/openapi.json`` and ``/openapi.yaml``."""
        self._document: Json | None = None
        self.operations: dict[str, Operation] = {}
        for operation in _operations(self):
            if operation.id in self.operations:
                raise ValueError(f"two operations are called {operation.id}")
            self.operations[operation.id] = operation

    @classmethod
    def of(cls, document: Json) -> "Contract":
        """The contract of a document that is bundled already."""
        return cls(Bundle(orjson.dumps(document), as_yaml(document)))

    @property
    def document(self) -> Json:
        """The whole of it, read when it is needed."""
        if self._document is None:
            self._document = orjson.loads(self.json_bytes)
        return self._document

    def forget(self) -> None:
        """Gives back the memory of the document: when all is made of it, nobody asks for it."""
        self._document = None

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
        """What Connexion needs in order to route requests and to find out who is asking.

        It copies the document for each of its layers and puts a schema wherever one is referred to.
        Bodies, answers and most parameters are checked and made by layers of ours, which read the
        whole one; what is not in it takes neither memory nor time.
        """
        # Its router tries one path after the other: those that are asked for most come first.
        paths: Json = {path: {} for path in BUSY_PATHS}
        for operation in self.operations.values():
            routed = self._for_routing(operation)
            paths.setdefault(operation.path, {})[operation.method] = routed
        schemes = self.document["components"]["securitySchemes"]
        kept = {name: self.document[name] for name in ("openapi", "info", "security")}
        return {**kept, "paths": paths, "components": {"securitySchemes": schemes}}

    def _for_routing(self, operation: Operation) -> Json:
        in_path = [
            {"name": each.name, "in": "path", "required": True, "schema": self.resolve(each.schema)}
            for each in operation.parameters
            if each.location == "path"
        ]
        security = {k: v for k, v in operation.raw.items() if k == "security"}
        responses = {"default": {"description": "see the contract"}}
        return {
            "operationId": operation.id,
            "parameters": in_path,
            "responses": responses,
            **security,
        }

    def resolve(self, node: Json) -> Json:
        """The node itself, or what its ``$ref`` points to."""
        while isinstance(node, dict) and "$ref" in node:
            node = at(self.document, node["$ref"].removeprefix("#"))
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
    """The contract below ``root``, bundled before or now.

    ValueError for a reference that leads nowhere or to something the root does not name.
    """
    return Contract(bundled(root))


def _operations(contract: Contract) -> Iterator[Operation]:
    for path, item in contract.document["paths"].items():
        # Connexion would check them once per middleware.
        if "parameters" in item:
            raise ValueError(f"{path}: declare parameters in each operation")
        for method in METHODS:
            if method in item:
                yield _operation(contract, path, method, item[method])


def _operation(contract: Contract, path: str, method: str, raw: Json) -> Operation:
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
        body_required=raw.get("requestBody", {}).get("required", False),
        media_types=tuple(_content(raw)),
        version_required="428" in raw["responses"],
        contract=contract,
    )


def _content(raw: Json) -> Json:
    """The forms of an operation's body, by media type."""
    return raw.get("requestBody", {}).get("content", {})


def _parameter(contract: Contract, node: Json) -> Parameter:
    node = contract.resolve(node)
    return Parameter(node["name"], node["in"], node.get("required", False), node["schema"])
