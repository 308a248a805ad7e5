"""Reads a JSON body strictly: what other parsers read differently is refused."""

import json
from typing import Any, NoReturn

import orjson

from bugtracker.errors import RequestMalformed


def parse_json(content: bytes) -> Any:
    """The value of a JSON document in UTF-8.

    RequestMalformed for anything else: other encodings, NaN and Infinity, a key given twice,
    lone surrogates, numbers beyond 64 bit or nesting beyond what any request needs.
    """
    try:
        text = content.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        # Refuses lone surrogates and huge integers; also bounds the depth to 254.
        orjson.dumps(value)
    except UnicodeDecodeError as error:
        raise RequestMalformed(f"The body is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestMalformed(f"The body is not JSON: {error.msg} at {place}.") from error
    except RecursionError as error:
        raise RequestMalformed("The body is nested too deeply.") from error
    except (ValueError, TypeError) as error:
        raise RequestMalformed(f"The body is not JSON we accept: {error}.") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
