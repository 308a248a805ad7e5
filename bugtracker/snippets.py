"""Excerpts of texts as segments, some of them highlighted. Never HTML: a client shows text."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

BEGIN, END = "\x02", "\x03"
"""Around what is highlighted in a text that the database has marked."""

LONGEST = 500
"""Characters of a snippet, all segments together; as in the contract."""
BEFORE = 100
"""So many of them stand before the first highlight where it comes late."""
CUT = "…"


class Segment(NamedTuple):
    """A piece of a text."""

    text: str
    highlighted: bool


def marked(text: str) -> list[Segment]:
    """The segments of a text with marks."""
    # Every BEGIN has its END; without any mark this is one segment.
    pieces = re.split(f"[{BEGIN}{END}]", text)
    return _short(Segment(piece, n % 2 == 1) for n, piece in enumerate(pieces))


def has_marks(text: str) -> bool:
    """Whether anything in it is highlighted."""
    return BEGIN in text


def with_words(text: str, words: str) -> list[Segment]:
    """The segments of a text with the words highlighted, in any case and within others, too."""
    wanted = sorted(set(words.split()), key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, wanted))})", text, flags=re.IGNORECASE)
    return _short(Segment(piece, n % 2 == 1) for n, piece in enumerate(pieces))


def _short(segments: Iterable[Segment]) -> list[Segment]:
    """Those that are not empty, up to LONGEST characters, the first highlight among them."""
    kept = [segment for segment in segments if segment.text]
    if len(kept) > 1 and not kept[0].highlighted and len(kept[0].text) > BEFORE:
        kept[0] = Segment(CUT + kept[0].text[-BEFORE + 1 :], False)
    return list(_up_to(LONGEST, kept))


def _up_to(room: int, segments: list[Segment]) -> Iterator[Segment]:
    for text, highlighted in segments:
        if len(text) > room:
            yield Segment(text[: room - 1] + CUT, highlighted)
            return
        yield Segment(text, highlighted)
        room -= len(text)
        if room == 0:
            return
