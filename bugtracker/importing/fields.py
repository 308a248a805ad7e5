"""Values out of parsed JSON, each known by its place in the file."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_LARGEST_NUMBER = 99_999_999
"""Beyond it a project would run out of numbers for its own issues, and keys of digits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Note = Callable[[str, str], None]
"""Told the place and what was changed there so that it could be stored."""


class Refused(Exception):
    """Something in a file cannot be taken in; says where and why."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class Record:
    """A JSON object at a place such as ``issues[3].comments[0]``.

    Every reader raises :class:`Refused` where the value is of another kind than it asks for.
    """

    def __init__(self, value: object, place: str, note: Note) -> None:
        self.value = _expect(value, dict, "an object", place)
        self.place = place
        self._note = note

    def at(self, name: str) -> str:
        """The place of a member."""
        return f"{self.place}.{name}" if self.place else name

    def text(self, name: str) -> str:
        """A string, without what a database cannot keep."""
        value = self.value.get(name)
        if type(value) is str and value.isascii() and "\0" not in value:
            return value
        return self._clean(_expect(self._get(name), str, "a string", self.at(name)), self.at(name))

    def text_or(self, name: str, default: str) -> str:
        """A string; missing, null and blank ones are ``default``."""
        text = self.text(name) if self.value.get(name) is not None else ""
        return text if text and not text.isspace() else default

    def texts(self, name: str) -> list[str]:
        """A list of strings; empty when missing or null."""
        items = self.items(name)
        places = (f"{self.at(name)}[{index}]" for index in range(len(items)))
        return [
            self._clean(_expect(item, str, "a string", place), place)
            for item, place in zip(items, places, strict=True)
        ]

    def items(self, name: str) -> list[Any]:
        """A list of anything; empty when missing or null."""
        value = self.value.get(name)
        found: list[Any] = _expect([] if value is None else value, list, "a list", self.at(name))
        return found

    def number(self, name: str) -> int:
        """A positive number that fits the database's integers."""
        value = self._get(name)
        if type(value) is not int or not 0 < value <= _LARGEST_NUMBER:
            raise Refused(self.at(name), f"must be a positive integer, is {_shown(value)}")
        return value

    def moment(self, name: str) -> datetime:
        """An RFC 3339 date and time, in UTC."""
        value = self._get(name)
        if not isinstance(value, str):
            raise Refused(self.at(name), f"must be an RFC 3339 date, is {_shown(value)}")
        try:
            return _moment(value)
        except ValueError as error:
            raise Refused(self.at(name), f"{error}{_shown(value)}") from error

    def moment_or(self, name: str, default: datetime) -> datetime:
        """As :meth:`moment`; ``default`` when missing or null."""
        return default if self.value.get(name) is None else self.moment(name)

    def _get(self, name: str) -> object:
        if name not in self.value:
            raise Refused(self.at(name), "is missing")
        return self.value[name]

    def _clean(self, text: str, place: str) -> str:
        cleaned, count = _UNSTORABLE.subn("\ufffd", text)
        if count:
            self._note(place, f"{count} NUL or lone surrogate replaced by U+FFFD")
        return cleaned


@lru_cache(1024)
def _moment(value: str) -> datetime:
    """A date and time, in UTC; ValueError says why not. Remembered, because most things were
    changed last when they were made."""
    if not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 date, is ")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("is no possible date: ") from error
    if moment < _EPOCH:
        raise ValueError("is before 1970: ")
    return moment


def _expect(value: object, kind: type, name: str, place: str) -> Any:
    if not isinstance(value, kind):
        raise Refused(place or "the file", f"must be {name}, is {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """A value in few ASCII characters, for a message."""
    try:
        shown = ascii(value)
    except RecursionError:
        shown = f"a very deep {type(value).__name__}"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
