"""Texts longer than a field may be, cut into parts of which nothing is lost.

A part is cut before a paragraph, else before a line, a word, or wherever it must. A fenced code
block that is cut is closed in one part and opened again in the next, so that code stays code.
Every part but the first begins with :data:`CONTINUED`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, islice

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bugtracker.markdown import sanitise

CONTINUED = "*(continued)*\n\n"

_LINE_END = re.compile(r"(?:\r\n?|\n)")
_PARAGRAPH_END = re.compile(r"(?:\r\n?|\n)(?:[ \t]*(?:\r\n?|\n))+")
# Before what is indented, a cut could take a paragraph out of its list and make code of it.
_UNINDENTED = re.compile(_PARAGRAPH_END.pattern + r"(?=\S)")
_UNINDENTED_LINE = re.compile(_LINE_END.pattern + r"(?=\S)")
_WORD_END = re.compile(r"[ \t]+")
_KINDS = (
    (_UNINDENTED, False),
    (_UNINDENTED_LINE, False),
    (_PARAGRAPH_END, False),
    (_LINE_END, False),
    (_LINE_END, True),
    (_WORD_END, False),
)
"""Where to cut, the best first, and whether that is inside a fence."""

_PARSER = MarkdownIt("commonmark")
_LONGEST_FENCE = 40
_TRIES_PER_KIND = 4


# Where a text is cut, the same part is looked at twice: may it be, and what is stored.
_sanitised = lru_cache(16)(sanitise)


@dataclass(frozen=True)
class Part:
    """``body`` is a slice of the text; what stands around it was added."""

    before: str
    body: str
    after: str

    @cached_property
    def text(self) -> str:
        """What is stored. Safe on its own: a cut may have taken the code away from around a tag,
        so it is sanitised again (``split`` looks for cuts where that changes nothing)."""
        return _sanitised(self.before + self.body + self.after)


@dataclass(frozen=True, slots=True)
class _Fence:
    """A fenced code block: offsets of its opening line, its code, and the end of its code."""

    start: int
    code: int
    end: int
    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class _Cut:
    """A place to cut, and the fence it is in."""

    offset: int
    fence: _Fence | None

    @property
    def closing(self) -> str:
        return self.fence.closing if self.fence else ""

    @property
    def next_before(self) -> str:
        return CONTINUED + (self.fence.opening if self.fence else "")


def split(text: str, first: int, rest: int) -> list[Part]:
    """Parts of a sanitised text, in order: the first of at most ``first`` characters, others of
    at most ``rest`` (at least 200). The parts' bodies, joined, are the text."""
    parts: list[Part] = []
    before, limit = "", first
    while len(before) + len(text) > limit:
        cut = _best_cut(before, text, limit, rest)
        head, text = text[: cut.offset], text[cut.offset :]
        line_end = "" if not cut.fence or head.endswith(("\n", "\r")) else "\n"
        parts.append(Part(before, head, line_end + cut.closing))
        before, limit = cut.next_before, rest
    return [*parts, Part(before, text, "")]


def _best_cut(before: str, text: str, limit: int, rest: int) -> _Cut:
    """The first cut, in order of preference, that leaves both sides as they are when sanitised."""
    cuts = _cuts(before, text, limit)
    best = next(cuts)
    stable = (cut for cut in chain([best], cuts) if _is_stable(before, text, cut, rest))
    return next(stable, best)


def _is_stable(before: str, text: str, cut: _Cut, rest: int) -> bool:
    head = Part(before, text[: cut.offset], "\n" + cut.closing if cut.fence else "")
    tail = cut.next_before + text[cut.offset : cut.offset + rest]
    return head.text == head.before + head.body + head.after and _sanitised(tail) == tail


def _cuts(before: str, text: str, limit: int) -> Iterator[_Cut]:
    """Places to cut, the best first; the last one always exists."""
    room = limit - len(before)
    fences = _fences(before, text[:room])
    for pattern, inside in _KINDS:
        offsets = _offsets(pattern, text, room)
        found = (_cut_at(offset, fences) for offset in offsets)
        good = (cut for cut in found if cut and bool(cut.fence) == inside and _fits(cut, room))
        yield from islice(good, _TRIES_PER_KIND)
    yield _forced_cut(text, room, fences)


def _fits(cut: _Cut, room: int) -> bool:
    """Whether the part stays in its limit."""
    spare = 1 + len(cut.closing) if cut.fence else 0
    return cut.offset <= room - spare


def _offsets(pattern: re.Pattern[str], text: str, room: int) -> list[int]:
    """Ends of the matches up to ``room``, the last one first; none so early that there would be
    many parts."""
    ends = [match.end() for match in pattern.finditer(text, 0, min(room + 1, len(text)))]
    least = room // 3
    return [
        end for end in reversed(ends) if least <= end <= room and text[end - 1 : end + 1] != "\r\n"
    ]


def _cut_at(offset: int, fences: list[_Fence]) -> _Cut | None:
    """A cut there; None in the middle of a line that opens or closes a fence."""
    for fence in fences:
        if fence.code <= offset < fence.end:
            return _Cut(offset, fence)
        if fence.start < offset < fence.code:
            return None
    return _Cut(offset, None)


def _forced_cut(text: str, room: int, fences: list[_Fence]) -> _Cut:
    """A cut in the middle of a word, or of a line of code."""
    cut = _cut_at(room, fences) or _Cut(room, None)
    offset = room - 1 - len(cut.closing) if cut.fence else room
    if text[offset - 1 : offset + 1] == "\r\n":
        offset -= 1
    return _Cut(offset, cut.fence)


def _fences(before: str, text: str) -> list[_Fence]:
    """The fenced code of ``before + text``, in offsets of ``text`` (before it: negative)."""
    source = before + text
    if "```" not in source and "~~~" not in source:
        return []
    starts = [0, *(match.end() for match in _LINE_END.finditer(source)), len(source) + 1]
    tokens = [token for token in _PARSER.parse(source) if token.type == "fence"]
    fences = (_fence(token, source, starts, len(before)) for token in tokens)
    return [fence for fence in fences if fence]


def _fence(token: Token, source: str, starts: list[int], shift: int) -> _Fence | None:
    first = (token.map or (0, 0))[0]
    line = source[starts[first] : starts[first + 1]]
    prefix = line.partition(token.markup)[0]
    if len(prefix) + len(token.markup) > _LONGEST_FENCE:
        return None
    # The next part has no list around it: list markers make way for spaces.
    prefix = re.sub(r"[^>\s]", " ", prefix)
    language = token.info.strip().partition(" ")[0][:_LONGEST_FENCE]
    return _Fence(
        start=starts[first] - shift,
        code=starts[first + 1] - shift,
        end=_end_of_code(token, source, starts) - shift,
        opening=f"{prefix}{token.markup}{language}\n",
        closing=f"{prefix}{token.markup}",
    )


def _end_of_code(token: Token, source: str, starts: list[int]) -> int:
    """Where the closing line begins; where there is none, behind the last line of the code."""
    first, last = token.map or (0, 0)
    closing = source[starts[last - 1] : starts[last]].strip(" \t\r\n>")
    if last - 1 > first and closing.startswith(token.markup):
        return starts[last - 1]
    # The end of the source, and blank lines before it, are still inside.
    return starts[last] if source[starts[last] :].strip() else len(source) + 1
