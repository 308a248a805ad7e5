"""Checks requests against the contract, with validators compiled at start-up.

Reports every violation at once, each with its place; :mod:`violations` puts them into words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from jsonschema_rs import Draft202012Validator, ValidationError

from bugtracker.contract import Contract, Json, Operation, Parameter
from bugtracker.errors import MediaTypeNotSupported, RequestInvalid, Violation
from bugtracker.jsonbody import parse_json
from bugtracker.messages import _, one_of
from bugtracker.schemas import Schemas
from bugtracker.violations import MAX_VIOLATIONS, Wording, wording_of_body, wording_of_parameters

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
        self._heeds_bodies = _heeds_bodies(operation)
        self._body: Draft202012Validator | None = None
        if operation.body is not None:
            self._body = schemas.compile(operation.body)
            self._wording = wording_of_body(operation, contract)

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
        """The parsed JSON body, and what is wrong with it. One that may be missing is an object.

        MediaTypeNotSupported for another type; RequestMalformed when it is not JSON.
        """
        if self._body is None:
            return None, self._superfluous(media_type, content)
        if not content and media_type in (None, *self._operation.media_types):
            missing = Violation("required", _("a JSON body is required"), pointer="")
            return {}, [missing] if self._operation.body_required else []
        value = _parsed(media_type, content, self._operation.media_types)
        return value, list(_body_violations(self._body.iter_errors(value), self._wording))

    def _superfluous(self, media_type: str | None, content: bytes) -> list[Violation]:
        """What is wrong with a body where there is none; many clients send an empty object."""
        if not content or not self._heeds_bodies:
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
        self._needs_some = any(p.required for p in parameters)
        self._wording = wording_of_parameters(contract)
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
        # Told first in one word: nearly all requests are valid.
        if (values or self._needs_some) and not self._validator.is_valid(values):
            violations += _parameter_violations(self._validator.iter_errors(values), self._wording)
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


def _body_violations(errors: Iterable[ValidationError], wording: Wording) -> Iterator[Violation]:
    for place, code, detail in wording.explained(errors):
        yield Violation(code, detail, pointer=_pointer(place))


def _parameter_violations(
    errors: Iterable[ValidationError], wording: Wording
) -> Iterator[Violation]:
    for place, code, detail in wording.explained(errors):
        code = "unknown_parameter" if code == "additionalProperties" else code
        yield Violation(code, detail, parameter=_cut(str(place[0]) if place else ""))


def require_valid(violations: list[Violation]) -> None:
    """Raises 400 with all violations, if there are any."""
    if violations:
        raise RequestInvalid(
            _("The request does not match the contract; see errors."),
            errors=violations[:MAX_VIOLATIONS],
        )
