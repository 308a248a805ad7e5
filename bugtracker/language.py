"""Which language somebody is answered in: ``Accept-Language``, else their setting, else English."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bugtracker.messages import LANGUAGES, SOURCE, Message

MAX_RANGES = 50
"""How many ranges of a header are looked at; people list a handful."""

_PLAIN: tuple[type[Any], ...] = (str, int, dict, list)
_RANGE = re.compile(
    r"[ \t]*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)"
    r"(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
)


def negotiate(header: bytes | None, setting: str | None = None) -> str:
    """One of LANGUAGES for a value of ``Accept-Language`` (RFC 9110, 12.5.4) and the setting of the
    person, of which either may be missing.

    ``de-AT`` asks for ``de``. The header goes first, where it allows one of ours by name; behind
    ``*`` the setting chooses, else our own order. What is malformed in the header counts as not
    sent; a header that excludes all of ours is disregarded.
    """
    named, others = _qualities((header or b"").decode("latin-1"))
    quality = {language: named.get(language, others) for language in LANGUAGES}
    best = max(quality.values())
    if best == 0:
        return setting if setting in LANGUAGES else SOURCE
    order = [*(each for each in named if each in LANGUAGES), setting, *LANGUAGES]
    return min((each for each in LANGUAGES if quality[each] == best), key=order.index)


def _qualities(header: str) -> tuple[dict[str, float], float]:
    """The quality of each language that is named, in the header's order, and that of ``*``."""
    named: dict[str, float] = {}
    others = 0.0
    for part in header.split(",", MAX_RANGES)[:MAX_RANGES]:
        if match := _RANGE.fullmatch(part):
            language = match[1].partition("-")[0].lower()
            quality = 1.0 if match[2] is None else float(match[2])
            if language == "*":
                others = max(others, quality)
            else:
                named[language] = max(named.get(language, 0.0), quality)
    return named, others


def language_of(state: Mapping[str, Any]) -> str:
    """The language of the answer to a request, by the ASGI state that the edge and the security
    step have filled."""
    principal = state.get("principal")
    setting = principal.language if principal else None
    return negotiate(state.get("accept_language"), setting)


class Translator:
    """orjson's ``default`` (with ``OPT_PASSTHROUGH_SUBCLASS``) that says messages in the language
    which ``choose`` gives. It is asked once, and only when there is a message."""

    def __init__(self, choose: Callable[[], str]) -> None:
        self._choose = choose
        self.language: str | None = None
        """The language of the messages so far; None when there were none."""

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Message):
            self.language = self.language or self._choose()
            return value.in_language(self.language)
        for plain in _PLAIN:
            if isinstance(value, plain):
                return plain(value)
        raise TypeError(f"{type(value).__name__} is not JSON")


def language_headers(language: str) -> dict[str, str]:
    """What an answer says that was made in a language: another request may get another one."""
    return {"Content-Language": language, "Vary": "Accept-Language"}
