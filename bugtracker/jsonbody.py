"""Reads a JSON body strictly: what other parsers read differently is refused."""

import codecs
import json
import math
from typing import Any, NoReturn

import orjson

from bugtracker.errors import RequestMalformed
from bugtracker.messages import Message, _

MAX_DIGITS = 20
"""Digits and sign of the longest integer below 64 bits; int() is slow for thousands of them."""

TOO_DEEP = _("The body is nested too deeply.")
TOO_LARGE = _("The body has an integer beyond 64 bits.")
SYNTAX: dict[str, Message] = {
    "Expecting value": _("Expecting value"),
    "Expecting property name enclosed in double quotes": _(
        "Expecting property name enclosed in double quotes"
    ),
    "Expecting ':' delimiter": _("Expecting ':' delimiter"),
    "Expecting ',' delimiter": _("Expecting ',' delimiter"),
    "Extra data": _("Extra data"),
    "Unterminated string starting": _("Unterminated string starting"),
    "Invalid control character": _("Invalid control character"),
    "Invalid \\escape": _("Invalid \\escape"),
    "Invalid \\uXXXX escape": _("Invalid \\uXXXX escape"),
    "Illegal trailing comma before end of object": _("Illegal trailing comma"),
    "Illegal trailing comma before end of array": _("Illegal trailing comma"),
}
"""What Python's parser says of bad syntax."""


def parse_json(content: bytes) -> Any:
    """The value of a JSON document in UTF-8.

    RequestMalformed for anything else: other encodings, a byte order mark, NaN and Infinity (also
    as 1e999), a key given twice, lone surrogates, integers beyond 64 bits or nesting beyond what
    any request needs. Messages never repeat what was sent.
    """
    if content.startswith(codecs.BOM_UTF8):
        raise RequestMalformed(_("The body begins with a byte order mark; send it without."))
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
        # Refuses lone surrogates and integers beyond 64 bits; also bounds the depth to 254.
        orjson.dumps(value)
    except UnicodeDecodeError as error:
        detail = _("The body is not UTF-8 (byte {place}).", place=error.start)
        raise RequestMalformed(detail) from error
    except json.JSONDecodeError as error:
        detail = _(
            "The body is not JSON: {reason} at line {line}, column {column}.",
            reason=SYNTAX.get(error.msg.removesuffix(" at")) or _("Cannot be read"),
            line=error.lineno,
            column=error.colno,
        )
        raise RequestMalformed(detail) from error
    except RecursionError as error:
        raise RequestMalformed(TOO_DEEP) from error
    except TypeError as error:
        raise RequestMalformed(_refusal(str(error))) from error
    return value


def _refusal(reason: str) -> Message:
    """What orjson refuses, in our words; its own change from version to version."""
    if "ecursion" in reason:
        return TOO_DEEP
    if "nteger" in reason:
        return TOO_LARGE
    return _("The body has a lone surrogate, which no UTF-8 text can hold.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RequestMalformed(_("The body has an object with the same key twice."))
    return members


def _constant(_name: str) -> NoReturn:
    raise RequestMalformed(_("The body has NaN or Infinity, which JSON does not know."))


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise RequestMalformed(TOO_LARGE)
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise RequestMalformed(_("The body has a number beyond double precision."))
    return value
