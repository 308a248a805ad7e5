"""Markdown source without anything active, for storing.

Code stays byte for byte, and so does a text in which nothing is active. Elsewhere raw HTML is
reduced to an allow-list, whatever merely looks like a tag is escaped, and link destinations that
run something become ``#``.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from bugtracker.markdown import tags
from bugtracker.markdown.code import Layout, Span, layout
from bugtracker.markdown.links import after_dangerous_scheme, dangerous_destination

Edit = tuple[int, int, str]
"""Start, end and what is put there instead."""

_MAX_ROUNDS = 6

# A text without a match is clean: only web autolinks, mail addresses and plain destinations.
_WORTH_A_LOOK = re.compile(
    r"<(?!https?://[^\s<>\"'`=]*>|[\w.+-]{1,64}@[\w.-]{1,255}>)[A-Za-z/!?]"
    r"|\][(:](?!\s*(?:<?(?:https?://|mailto:)|#|\)|[\w./-]{1,300}[)#?]))"
)
_SUSPECT = re.compile(r"<[A-Za-z/!?]|\][(:]")

_ATTRIBUTE = r"\s+[A-Za-z_:][A-Za-z0-9:._-]*(?:\s*=\s*(?:[^\"'=<>`\x00-\x20]+|'[^']*'|\"[^\"]*\"))?"
_TAG = re.compile(rf"<[A-Za-z][A-Za-z0-9-]*(?:{_ATTRIBUTE})*\s*/?>|</[A-Za-z][A-Za-z0-9-]*\s*>")
_AUTOLINK = re.compile(
    r"<(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\x00-\x20]*"
    r"|[A-Za-z0-9.!#$%&*+/=?^_{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)>"
)
# An autolink that a renderer without autolinks would take for a tag with a handler.
_HANDLER = re.compile(r"[/\"']\s*on\w+\s*=", re.IGNORECASE)
_HIDDEN = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))
_DECLARATION = re.compile(r"<![A-Za-z][^>]*>")
_SHORT_COMMENT = re.compile(r"<!---?>")
_CLOSE = re.compile(rf"</({'|'.join(sorted(tags.WITH_CONTENT))})\s*>", re.IGNORECASE)


def sanitise(source: str) -> str:
    """``source`` (any string) without active HTML and dangerous links outside code.

    Returns the same object when there is nothing to do. ``sanitise(sanitise(x)) == sanitise(x)``.
    """
    if "<" not in source and "]" not in source:
        return source  # as _WORTH_A_LOOK would say, ten times as fast
    text = source
    for _ in range(_MAX_ROUNDS):
        if not _WORTH_A_LOOK.search(text):
            return text
        # A removal may put a new tag together, so look again until nothing changes.
        cleaned = _Round(text).result()
        if cleaned == text:
            return text
        text = cleaned
    return _lock(text)


def _lock(text: str) -> str:
    """For texts built to outlast the rounds: no ``<`` outside code, or none at all."""
    escaped = _replace(text, list(_every_angle(text)))
    if _Round(escaped).result() == escaped:
        return escaped
    return re.sub(r"\]([(:])", r"]\\\1", text.replace("<", "&lt;"))


def _every_angle(text: str) -> Iterator[Edit]:
    code = layout(text).code
    for match in re.finditer("<", text):
        if not _covers(code, match.start()):
            yield (match.start(), match.end(), "&lt;")


def _replace(text: str, edits: Sequence[Edit]) -> str:
    parts: list[str] = []
    done = 0
    for start, end, new in edits:
        parts += (text[done:start], new)
        done = end
    return "".join((*parts, text[done:]))


def _covers(spans: Sequence[Span], offset: int) -> bool:
    index = bisect_right(spans, (offset, len(spans) and spans[-1][1] + 1)) - 1
    return index >= 0 and offset < spans[index][1]


class _Round:
    """One pass over a text, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.layout: Layout = layout(text)
        self._starts = [start for start, _ in self.layout.code]
        self._closers: dict[str, list[Span]] = {}
        for match in _CLOSE.finditer(text):
            self._closers.setdefault(match[1].lower(), []).append(match.span())

    def result(self) -> str:
        edits: list[Edit] = []
        done = 0
        for match in _SUSPECT.finditer(self.text):
            start = match.start()
            if start < done or _covers(self.layout.code, start):
                continue
            edit = self._tag(start) if match[0][0] == "<" else self._link(match.end())
            if edit and edit[0] >= done:
                edits.append(edit)
                done = edit[1]
        return _replace(self.text, edits)

    def _limit(self, offset: int) -> int:
        """Where the next code begins: no construct outside reaches into it."""
        index = bisect_right(self._starts, offset)
        return self._starts[index] if index < len(self._starts) else len(self.text)

    def _link(self, start: int) -> Edit | None:
        span = dangerous_destination(self.text, start, self._limit(start))
        return (*span, "#") if span else None

    def _tag(self, start: int) -> Edit | None:
        """What to do about the ``<`` at ``start``; None leaves it."""
        if self._is_escaped(start):
            # Not every renderer knows that a backslash escapes "<"; all know the entity.
            return (start - 1, start + 1, "&lt;")
        limit = self._limit(start)
        link = _AUTOLINK.match(self.text, start, limit)
        if link and not _covers(self.layout.html_blocks, start):
            return self._autolink(link)
        hidden = self._hidden_end(start, limit)
        if hidden:
            return (start, hidden, "")
        tag = _TAG.match(self.text, start, limit)
        if not tag or tags.is_text(tag[0]):
            return (start, start + 1, "&lt;")
        return self._element(tag, limit)

    def _is_escaped(self, start: int) -> bool:
        before = start
        while before and self.text[before - 1] == "\\":
            before -= 1
        return (start - before) % 2 == 1

    def _autolink(self, link: re.Match[str]) -> Edit | None:
        start, end = link.span()
        if after_dangerous_scheme(self.text, start + 1, end):
            return (start, end, "<#>")
        return (start, start + 1, "&lt;") if _HANDLER.search(link[0]) else None

    def _hidden_end(self, start: int, limit: int) -> int | None:
        """End of a comment, CDATA section, processing instruction or declaration."""
        short = _SHORT_COMMENT.match(self.text, start, limit)
        if short:
            return short.end()
        for opener, closer in _HIDDEN:
            if self.text.startswith(opener, start):
                end = self.text.find(closer, start + len(opener), limit)
                return end + len(closer) if end >= 0 else None
        declaration = _DECLARATION.match(self.text, start, limit)
        return declaration.end() if declaration else None

    def _element(self, tag: re.Match[str], limit: int) -> Edit | None:
        start, end = tag.span()
        new = tags.replacement(tag[0])
        if new == tag[0]:
            return None
        if tags.name_of(tag[0]) in tags.WITH_CONTENT and not tag[0].startswith("</"):
            end = self._content_end(tag, limit)
        return (start, end, new)

    def _content_end(self, tag: re.Match[str], limit: int) -> int:
        """Behind the matching close tag, unless code (which is kept) comes before it."""
        name = tags.name_of(tag[0])
        if tag[0].endswith("/>") and name in ("svg", "math"):
            return tag.end()
        closers = self._closers.get(name, [])
        index = bisect_right(closers, (tag.end() - 1, len(self.text)))
        found = index < len(closers) and closers[index][1] <= limit
        return closers[index][1] if found else tag.end()
