"""Puts what a compiled schema found into words.

They never repeat what was sent: it may be a password.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, TypeGuard

from jsonschema_rs import ValidationError

from bugtracker.contract import Contract, Json, Operation
from bugtracker.messages import Message, _, listed, ngettext, one_of, recalled

MAX_VIOLATIONS = 100

Place = list[str | int]

SENTENCES: dict[str, Message] = {
    "uniqueItems": _("must not have the same item twice"),
    "pattern": _("has characters that are not allowed here, or lacks required ones"),
}

LIMITS: dict[str, Callable[[Any], Message]] = {
    "minLength": lambda limit: ngettext(
        "must have at least {n} character", "must have at least {n} characters", limit
    ),
    "maxLength": lambda limit: ngettext(
        "must have at most {n} character", "must have at most {n} characters", limit
    ),
    "minItems": lambda limit: ngettext(
        "must have at least {n} item", "must have at least {n} items", limit
    ),
    "maxItems": lambda limit: ngettext(
        "must have at most {n} item", "must have at most {n} items", limit
    ),
    "minProperties": lambda limit: ngettext(
        "must have at least {n} member", "must have at least {n} members", limit
    ),
    "maxProperties": lambda limit: ngettext(
        "must have at most {n} member", "must have at most {n} members", limit
    ),
    "minimum": lambda limit: _("must be at least {limit}", limit=limit),
    "maximum": lambda limit: _("must be at most {limit}", limit=limit),
}

PLAINER = {"minLength", "format"}
"""What says more than the pattern does, where a value breaks both."""


@dataclass(frozen=True)
class Wording:
    """How the violations of one schema are put."""

    hints: Mapping[str, Message]
    """By pattern: what the contract says beside it."""
    choice: Message | None = None
    """The sentence for a body that needs exactly one of several members."""
    read_only: frozenset[str] = frozenset()
    """Members that the answer has."""

    def explained(self, errors: Iterable[ValidationError]) -> Iterator[tuple[Place, str, Message]]:
        """(place, code, sentence) of everything that the errors say."""
        found = list(islice(errors, MAX_VIOLATIONS))
        plain = {tuple(error.instance_path) for error in found if _keyword(error) in PLAINER}
        for error in found:
            if _keyword(error) != "pattern" or tuple(error.instance_path) not in plain:
                yield from self._explain(error)

    def _explain(self, error: ValidationError) -> Iterator[tuple[Place, str, Message]]:
        kind: Any = error.kind
        keyword, place = _keyword(error), [*error.instance_path]
        if keyword == "additionalProperties":
            for name in kind.unexpected[:MAX_VIOLATIONS]:
                yield [*place, name], keyword, self._unexpected(place, name)
        elif keyword == "required":
            yield [*place, kind.property], keyword, _("is required")
        else:
            yield place, keyword, self._sentence(kind, keyword)

    def _unexpected(self, place: Place, name: str) -> Message:
        if not place and name in self.read_only:
            return _("cannot be set or changed here")
        return _("is not known here")

    def _sentence(self, kind: Any, keyword: str) -> Message:
        if keyword == "oneOf":
            return self.choice or _("must match exactly one of the allowed forms")
        if keyword == "pattern" and kind.pattern in self.hints:
            return self.hints[kind.pattern]
        if keyword == "type":
            return _("must be {types}", types=one_of(kind.types))
        if keyword == "enum":
            options = listed("null" if option is None else str(option) for option in kind.options)
            return _("must be one of {options}", options=options)
        if keyword == "format":
            return _("must be a valid {format}", format=kind.format)
        if keyword in LIMITS:
            return LIMITS[keyword](kind.limit)
        return SENTENCES.get(keyword) or _("is not valid")


def _keyword(error: ValidationError) -> str:
    return str(error.schema_path[-1]) if error.schema_path else "schema"


def wording_of_parameters(contract: Contract) -> Wording:
    """How the parameters of any operation are spoken of."""
    return Wording(hints_of(contract))


def wording_of_body(operation: Operation, contract: Contract) -> Wording:
    """How the body of the operation is spoken of."""
    choice = _choice(contract.resolve(operation.body))
    return Wording(hints_of(contract), choice, frozenset(_answered(operation, contract)))


@cache
def hints_of(contract: Contract) -> Mapping[str, Message]:
    """``x-hint`` by the pattern that it stands beside."""
    nodes = _nodes(contract.document)
    return {node["pattern"]: recalled(node["x-hint"]) for node in nodes if "x-hint" in node}


def _nodes(node: Json) -> Iterator[dict[str, Json]]:
    """Every object of the document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from _nodes(child)


def _answered(operation: Operation, contract: Contract) -> Iterator[str]:
    """The members of what the operation answers with when all went well."""
    for status in ("200", "201"):
        response = contract.resolve(operation.raw["responses"].get(status, {}))
        for media in response.get("content", {}).values():
            yield from contract.resolve(media["schema"]).get("properties", ())


def _choice(schema: Json) -> Message | None:
    branches = schema.get("oneOf", []) if isinstance(schema, dict) else []
    names = [branch["required"][0] for branch in branches if _is_member_choice(branch)]
    return _("must have exactly one of {names}", names=listed(names)) if names else None


def _is_member_choice(branch: Json) -> TypeGuard[dict[str, list[str]]]:
    return isinstance(branch, dict) and len(branch.get("required", ())) == 1
