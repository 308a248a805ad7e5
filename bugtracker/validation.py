"""Checks requests against the contract, with validators compiled at start-up.

Reports every violation at once, each with its place. Messages never repeat what was sent: it
may be a password.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

from jsonschema_rs import Draft202012Validator, ValidationError

from bugtracker.contract import Contract, Json, Operation, Parameter
from bugtracker.errors import MediaTypeNotSupported, RequestInvalid, Violation
from bugtracker.jsonbody import parse_json
from bugtracker.messages import Message, _, listed, ngettext, one_of
from bugtracker.schemas import Schemas

MAX_VIOLATIONS = 100
MAX_NAME = 200
"""Longest member or parameter name that a violation repeats, in characters."""

JSON = "application/json"

Coerce = Callable[[str], Any]


class OperationValidator:
    """The compiled checks of one operation."""

    def __init__(self, operation: Operation, contract: Contract, schemas: Schemas) -> None:
        self._operation = operation
        self._parameters = {
            location: _ParameterSet(
                [p for p in operation.parameters if p.location == location], contract, schemas
            )
            for location in ("path", "query", "header")
        }
        self._body: Draft202012Validator | None = None
        self._body_hint: Message | None = None
        if operation.body is not None:
            self._body = schemas.compile(operation.body)
            self._body_hint = _choice(contract.resolve(operation.body))

    def parameters(
        self, path: Mapping[str, str], query_string: bytes, headers: Mapping[str, str]
    ) -> tuple[dict[str, dict[str, Any]], list[Violation]]:
        """Coerced parameters by location, and what is wrong with them."""
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        given: dict[str, list[tuple[str, str]]] = {
            "path": list(path.items()),
            "query": pairs,
            "header": [
                (name, headers[name.lower()])
                for name in self._parameters["header"].names
                if name.lower() in headers
            ],
        }
        values: dict[str, dict[str, Any]] = {}
        violations: list[Violation] = []
        for location, parameters in self._parameters.items():
            values[location], found = parameters.read(given[location])
            violations += found
        return values, violations

    def body(self, media_type: str | None, content: bytes) -> tuple[Any, list[Violation]]:
        """The parsed JSON body, and what is wrong with it.

        MediaTypeNotSupported for another type; RequestMalformed when it is not JSON.
        """
        if self._body is None:
            return None, self._superfluous(media_type, content)
        if not content and media_type in (None, *self._operation.media_types):
            missing = Violation("required", _("a JSON body is required"), pointer="")
            return None, [missing] if self._operation.body_required else []
        value = _parsed(media_type, content, self._operation.media_types)
        return value, list(_body_violations(self._body.iter_errors(value), self._body_hint))

    def _superfluous(self, media_type: str | None, content: bytes) -> list[Violation]:
        """What is wrong with a body where there is none; many clients send an empty object."""
        if not content or not _heeds_bodies(self._operation):
            return []
        if _parsed(media_type, content, (JSON,)) == {}:
            return []
        return [Violation("unexpected_body", _("this operation takes no body"), pointer="")]


def _heeds_bodies(operation: Operation) -> bool:
    """Whether a body could be meant for this operation: not with GET, nor where it is only told
    to be sent elsewhere."""
    return operation.method != "get" and "308" not in operation.raw["responses"]


def _parsed(media_type: str | None, content: bytes, accepted: tuple[str, ...]) -> Any:
    if media_type not in accepted:
        raise MediaTypeNotSupported(
            _("Send the body as {types}.", types=one_of(accepted)),
            headers={"Accept": ", ".join(accepted)},
        )
    return parse_json(content)


class _ParameterSet:
    """The parameters of one location, checked together as one object."""

    def __init__(self, parameters: list[Parameter], contract: Contract, schemas: Schemas) -> None:
        self.names = [p.name for p in parameters]
        resolved = {p.name: contract.resolve(p.schema) for p in parameters}
        self._coerce = {name: _coercion(schema) for name, schema in resolved.items()}
        self._validator = schemas.compile(
            {
                "type": "object",
                "properties": {p.name: p.schema for p in parameters},
                "required": [p.name for p in parameters if p.required],
                "additionalProperties": False,
            }
        )

    def read(self, given: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], list[Violation]]:
        values: dict[str, Any] = {}
        violations = []
        for name, text in given:
            if name in values:
                violation = Violation("duplicate", _("is given twice"), parameter=_cut(name))
                violations.append(violation)
            values[name] = self._coerce.get(name, str)(text)
        if values or self.names:
            violations += _parameter_violations(self._validator.iter_errors(values))
        return values, violations


def query_defaults(operation: Operation, contract: Contract) -> dict[str, Any]:
    """The defaults that the contract declares for query parameters; None where it has none."""
    return {
        parameter.name: contract.resolve(parameter.schema).get("default")
        for parameter in operation.parameters
        if parameter.location == "query"
    }


def _coercion(schema: Json) -> Coerce:
    kind = schema.get("type", "string")
    if kind == "integer":
        return _integer
    if kind == "boolean":
        return lambda text: {"true": True, "false": False}.get(text, text)
    if kind == "array":
        item = _coercion(schema["items"])
        return lambda text: [item(part) for part in text.split(",")]
    return str


def _integer(text: str) -> int | str:
    """Strictly decimal: no sign +, spaces, underscores or other scripts' digits."""
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(text) if plain and (digits == "0" or digits[0] != "0") else text


def _pointer(parts: Iterable[str | int]) -> str:
    names = (_cut(str(part)) for part in parts)
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def _cut(name: str) -> str:
    """The name, shortened where somebody sent a novel: the contract bounds what we repeat."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def _body_violations(
    errors: Iterable[ValidationError], hint: Message | None
) -> Iterable[Violation]:
    for _number, error in zip(range(MAX_VIOLATIONS), errors, strict=False):
        for name, code, detail in _explain(error, hint):
            parts = [*error.instance_path, *([] if name is None else [name])]
            yield Violation(code, detail, pointer=_pointer(parts))


def _parameter_violations(errors: Iterable[ValidationError]) -> Iterable[Violation]:
    for _number, error in zip(range(MAX_VIOLATIONS), errors, strict=False):
        for name, code, detail in _explain(error, None):
            place = name if not error.instance_path else str(error.instance_path[0])
            code = "unknown_parameter" if code == "additionalProperties" else code
            yield Violation(code, detail, parameter=_cut(place or ""))


def _explain(error: ValidationError, hint: Message | None) -> list[tuple[str | None, str, Message]]:
    """(member the error is about, keyword, sentence) for each thing the error says."""
    kind: Any = error.kind
    keyword = str(error.schema_path[-1]) if error.schema_path else "schema"
    if keyword == "additionalProperties":
        unknown = _("is not known here")
        return [(name, keyword, unknown) for name in kind.unexpected[:MAX_VIOLATIONS]]
    if keyword == "required":
        return [(kind.property, keyword, _("is required"))]
    if keyword == "oneOf":
        return [(None, keyword, hint or _("must match exactly one of the allowed forms"))]
    return [(None, *_sentence(kind, keyword))]


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


def _sentence(kind: Any, keyword: str) -> tuple[str, Message]:
    if keyword == "type":
        return keyword, _("must be {types}", types=one_of(kind.types))
    if keyword == "enum":
        options = listed("null" if option is None else str(option) for option in kind.options)
        return keyword, _("must be one of {options}", options=options)
    if keyword == "format":
        return keyword, _("must be a valid {format}", format=kind.format)
    if keyword in LIMITS:
        return keyword, LIMITS[keyword](kind.limit)
    return keyword, SENTENCES.get(keyword) or _("is not valid")


def _choice(schema: Json) -> Message | None:
    """The sentence for a body that needs exactly one of several members."""
    branches = schema.get("oneOf", []) if isinstance(schema, dict) else []
    names = [branch["required"][0] for branch in branches if _is_member_choice(branch)]
    return _("must have exactly one of {names}", names=listed(names)) if names else None


def _is_member_choice(branch: Json) -> TypeGuard[dict[str, list[str]]]:
    return isinstance(branch, dict) and len(branch.get("required", ())) == 1


def require_valid(violations: list[Violation]) -> None:
    """Raises 400 with all violations, if there are any."""
    if violations:
        raise RequestInvalid(
            _("The request does not match the contract; see errors."),
            errors=violations[:MAX_VIOLATIONS],
        )
