"""Texts for people: English where they are made, in another language where they are shown.

``_("Project {key} is archived.", key=…)`` makes a :class:`Message`. It *is* the English text, so
that logs and comparisons have a plain string, and it remembers what it was made of, so that
:func:`translated` can say the same in another language. docs/localisation.md has the rules.

The catalogues are ``locale/<language>/LC_MESSAGES/bugtracker.po``. What is made of one is kept
beside it, and made anew when it has changed: there is nothing to compile, and so nothing to forget.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from bugtracker.kept import kept

LANGUAGES = ("en", "hi", "de")
SOURCE = "en"
"""The language of the messages in the code."""
DOMAIN = "bugtracker"
CATALOGUES = Path(__file__).parent / "locale"
KEPT = f".{DOMAIN}.mo"

Values = Mapping[str, Any]


class Message(str):
    """An English text for people that can be said in every language. Its values may be messages."""

    __slots__ = ("_msgid", "_plural", "_values")

    _msgid: str
    _plural: str | None
    _values: Values

    def __new__(
        cls, msgid: str, values: Values | None = None, plural: str | None = None
    ) -> "Message":
        """Use :func:`_` and :func:`ngettext`: only what stands in them gets into the catalogues."""
        values = values or {}
        chosen = msgid if plural is None or values["n"] == 1 else plural
        message = super().__new__(cls, chosen.format(**values))
        message._msgid, message._plural, message._values = msgid, plural, values
        return message

    def in_language(self, language: str) -> str:
        """The text in one of LANGUAGES; in English where a translation is missing."""
        if language == SOURCE:
            return str(self)
        catalogue = _catalogue(language)
        if self._plural is None:
            found = catalogue.gettext(self._msgid)
        else:
            found = catalogue.ngettext(self._msgid, self._plural, self._values["n"])
        shown = {name: translated(value, language) for name, value in self._values.items()}
        return found.format(**shown)


class _Listed(Message):
    """Some texts with commas between them."""

    __slots__ = ("_parts",)

    _parts: tuple[str, ...]

    def __new__(cls, parts: Iterable[str]) -> "_Listed":
        parts = tuple(parts)
        message = str.__new__(cls, ", ".join(parts))
        message._parts = parts
        return message

    def in_language(self, language: str) -> str:
        return ", ".join(translated(part, language) for part in self._parts)


def _(msgid: str, /, **values: Any) -> Message:
    """A message. ``msgid`` must be written out here: the catalogues are made from the source."""
    return Message(msgid, values)


def ngettext(one: str, many: str, /, n: int, **values: Any) -> Message:
    """A message with the number ``{n}`` in it, in the form that the number needs."""
    return Message(one, {"n": n, **values}, many)


def listed(parts: Iterable[str]) -> Message:
    """``a, b, c``."""
    return _Listed(parts)


def one_of(words: Iterable[str]) -> Message:
    """``a, b or c``."""
    *most, last = words
    return _("{most} or {last}", most=listed(most), last=last) if most else listed([last])


def translated(text: Any, language: str) -> Any:
    """A message in the language; anything else as it is."""
    return text.in_language(language) if isinstance(text, Message) else text


def recalled(text: str) -> Message:
    """A message without values again, of its English text, as which it was stored."""
    return Message(text.replace("{", "{{").replace("}", "}}"))


def load_catalogues() -> None:
    """Reads all of them now: where they are new it takes a sixth of a second, which no request
    should have to wait."""
    for language in LANGUAGES:
        if language != SOURCE:
            _catalogue(language)


@cache
def _catalogue(language: str) -> GNUTranslations:
    """The translations of a language, as the standard library looks them up."""
    folder = CATALOGUES / language / "LC_MESSAGES"
    written = folder / f"{DOMAIN}.po"
    compiled = kept(folder / KEPT, (written, Path(__file__)), lambda: _compiled(written, language))
    return GNUTranslations(BytesIO(compiled))


def _compiled(written: Path, language: str) -> bytes:
    # Slow to import, and only needed when a catalogue has changed.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with written.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    return compiled.getvalue()
