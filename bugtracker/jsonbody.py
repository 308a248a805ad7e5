"""Reads a JSON body strictly: what other parsers read differently is refused."""

import codecs
import json
import math
from typing import Any, NoReturn

import orjson

from bugtracker.errors import RequestMalformed

MAX_DIGITS = 20
"""Digits and sign of the longest integer below 64 bits; int() is slow for thousands of them."""


def parse_json(content: bytes) -> Any:
    """The value of a JSON document in UTF-8.

    RequestMalformed for anything else: other encodings, a byte order mark, NaN and Infinity (also
    as 1e999), a key given twice, lone surrogates, integers beyond 64 bits or nesting beyond what
    any request needs. Messages never repeat what was sent.
    """
    if content.startswith(codecs.BOM_UTF8):
        raise RequestMalformed("The body begins with a byte order mark; send it without.")
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
        raise RequestMalformed(f"The body is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestMalformed(f"The body is not JSON: {error.msg} at {place}.") from error
    except RecursionError as error:
        raise RequestMalformed("The body is nested too deeply.") from error
    except TypeError as error:
        raise RequestMalformed(f"The body {_refusal(str(error))}.") from error
    except ValueError as error:
        raise RequestMalformed(f"The body {error}.") from error
    return value


def _refusal(reason: str) -> str:
    """What orjson refuses, in our words; its own change from version to version."""
    if "ecursion" in reason:
        return "is nested too deeply"
    if "nteger" in reason:
        return "has an integer beyond 64 bits"
    return "has a lone surrogate, which no UTF-8 text can hold"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("has an object with the same key twice")
    return members


def _constant(_: str) -> NoReturn:
    raise ValueError("has NaN or Infinity, which JSON does not know")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("has an integer beyond 64 bits")
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("has a number beyond double precision")
    return value
