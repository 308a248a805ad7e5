"""The short name of a project that its issue keys begin with, derived from its name."""

import re
import unicodedata
from collections.abc import Collection
from itertools import count

LONGEST = 10
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+[A-Za-z]*")
_FALLBACK = "PROJECT"


def derive_key(name: str, taken: Collection[str]) -> str:
    """A key for a project of this name: 2 to 10 of ``[A-Z0-9]``, first a letter.

    One word is kept (``qlog`` → ``QLOG``), several give their initials with the digits behind a
    word (``Tidal Library System`` → ``TLS``, ``draft-ietf-webtrans-http3`` → ``DIWH3``). A key in
    ``taken`` gets the first free number behind it (``TLS2``).
    """
    base = _base_key(name)
    if base not in taken:
        return base
    stem = base.rstrip("0123456789") or base
    candidates = (_numbered(stem, number) for number in count(2))
    return next(key for key in candidates if key not in taken)


def _base_key(name: str) -> str:
    words = _WORD.findall(_ascii(name))
    letters = words[0] if len(words) == 1 else "".join(map(_initial, words))
    key = letters.upper()[:LONGEST]
    if key and not key[0].isalpha():
        key = f"P{key}"[:LONGEST]
    if len(key) == 1:
        return f"{key}P"
    return key or _FALLBACK


def _initial(word: str) -> str:
    """The first letter and the number behind the word; a leading number is kept whole."""
    if word[0].isdigit():
        return "".join(re.findall(r"^[0-9]+", word))
    return word[0] + "".join(re.findall(r"[0-9]+$", word))


def _ascii(name: str) -> str:
    """Letters without their accents; what has no ASCII form separates words."""
    decomposed = unicodedata.normalize("NFKD", name)
    kept = (char for char in decomposed if not unicodedata.combining(char))
    return "".join(char if char.isascii() else " " for char in kept)


def _numbered(stem: str, number: int) -> str:
    suffix = str(number)
    return stem[: LONGEST - len(suffix)] + suffix
