"""Destinations of Markdown links that would run or read something."""

import re
from html.entities import html5

SCHEMES = ("javascript", "vbscript", "data", "file")

_PREFIXES = {scheme[:length] for scheme in SCHEMES for length in range(1, len(scheme) + 1)}
_UNIT = re.compile(
    r"&#0*(?P<decimal>[0-9]{1,7});?"
    r"|&#[xX]0*(?P<hex>[0-9a-fA-F]{1,6});?"
    r"|&(?P<name>[A-Za-z][A-Za-z0-9]{1,30};)"
    r"|%(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?P<char>.)",
    re.DOTALL,
)
# A destination may be on the next line, behind the ">" of the quote it is in.
_SPACE = re.compile(r"[^\S\n]*(?:\n[\s>]*)?")


def _decode(unit: re.Match[str]) -> str:
    """The character a browser could make of one entity, percent escape or character."""
    if unit["char"]:
        return unit["char"]
    if unit["name"]:
        return html5.get(unit["name"], unit["name"])
    number = int(unit["decimal"]) if unit["decimal"] else int(unit["hex"] or unit["percent"], 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def _is_noise(character: str) -> bool:
    """Characters that some reader skips inside a scheme: white space, controls, a backslash."""
    return character == "\\" or character.isspace() or not character.isprintable()


def after_dangerous_scheme(text: str, start: int, limit: int) -> int | None:
    """Offset behind the colon when ``text[start:limit]`` begins with a dangerous scheme.

    Every disguise is looked through at once: entities, percent escapes, backslashes, capital
    letters, white space and control characters in between.
    """
    scheme = ""
    for unit in _UNIT.finditer(text, start, limit):
        character = _decode(unit)
        if _is_noise(character):
            continue
        if character == ":":
            return unit.end() if scheme in SCHEMES else None
        scheme += character.lower()
        if scheme not in _PREFIXES:
            return None
    return None


def dangerous_destination(text: str, start: int, limit: int) -> tuple[int, int] | None:
    """Span of a dangerous destination that begins (after white space) at ``start``.

    ``start`` is just behind ``](`` or ``]:``. Sloppier than CommonMark on purpose: what is no link
    there may be one for another renderer. Nothing is read from ``limit`` on.
    """
    begin = _skip_space(text, start, limit)
    angle = text.startswith("<", begin, limit)
    behind = after_dangerous_scheme(text, begin + angle, limit)
    if behind is None:
        return None
    end = _angle_end(text, behind, limit) if angle else None
    end = end or _plain_end(text, behind, limit)
    nothing_behind = end == behind and text[start - 1] == ":"
    # "[note]: data: see below" is a sentence; a scheme alone does nothing.
    return None if nothing_behind else (begin, end)


def _skip_space(text: str, start: int, limit: int) -> int:
    match = _SPACE.match(text, start, limit)
    return match.end() if match else start


def _angle_end(text: str, start: int, limit: int) -> int | None:
    """Behind the ``>`` of a ``<destination>``, if it is on the same line."""
    line_end = text.find("\n", start, limit)
    end = text.find(">", start, limit if line_end < 0 else line_end)
    return end + 1 if end >= 0 else None


def _plain_end(text: str, start: int, limit: int) -> int:
    """End of a bare destination: white space or the first unbalanced parenthesis."""
    depth, offset = 0, start
    while offset < limit:
        character = text[offset]
        if character.isspace() or (character == ")" and depth == 0):
            break
        depth += (character == "(") - (character == ")")
        offset += 2 if character == "\\" and text[offset + 1 : offset + 2] in ("(", ")") else 1
    return min(offset, limit)
