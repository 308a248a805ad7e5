"""Where the code of a Markdown text is, in offsets of the text itself.

The block and inline rules of markdown-it that make code are wrapped so that they remember where
they were; nothing is parsed a second way. A place counts as code only when every reading of the
text says so (with and without tables, with and without HTML), because a disagreement
between renderers is an attack: what is code for one would be live for the other.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.common.utils import MD_TRIM_CHARS
from markdown_it.parser_block import RuleFuncBlockType
from markdown_it.rules_block import StateBlock, heading, lheading, paragraph, table
from markdown_it.rules_inline import StateInline, backtick, image
from markdown_it.token import Token

Span = tuple[int, int]
"""Half-open range of character offsets."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Code and HTML blocks of one text: sorted, disjoint spans of its characters."""

    code: list[Span]
    html_blocks: list[Span]


_NEWLINE = re.compile(r"\r\n?")
_SURROGATES = re.compile("[\ud800-\udfff]")
_CODE_MARKS = ("`", "~~~", "    ", "\t")
_BARE_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*\s*/?>")
_AUTOLINK = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]+:")


def layout(text: str) -> Layout:
    """The spans of ``text`` that every reading of it takes for code, and its HTML blocks."""
    if not any(mark in text for mark in _CODE_MARKS) and not _AUTOLINK.search(text):
        return Layout([], [])
    source = _Source(text)
    tokens = _WITH_HTML.parse(source.normalised)
    code = _code(tokens, source)
    if any(token.type == "table_open" for token in tokens):
        code = _both(code, _code(_WITHOUT_TABLES.parse(source.normalised), source))
    if code and any(_may_hide_code(token) for token in tokens):
        code = _both(code, _code(_WITHOUT_HTML.parse(source.normalised), source))
    blocks = [source.lines(token) for token in tokens if token.type == "html_block"]
    return Layout([source.raw(span) for span in code], [source.raw(span) for span in blocks])


class _Source:
    """A text as markdown-it reads it (line ends normalised), with the way back."""

    def __init__(self, text: str) -> None:
        text = _SURROGATES.sub("\ufffd", text)
        self._dropped = [
            match.start() - before for before, match in enumerate(re.finditer(r"\r\n", text))
        ]
        self.normalised = _NEWLINE.sub("\n", text).replace("\0", "\ufffd")
        self._starts = [0, *(match.end() for match in re.finditer("\n", self.normalised))]

    def lines(self, token: Token) -> Span:
        """The whole lines of a block token."""
        first, last = token.map or (0, 0)
        return self._start(first), self._start(last)

    def after_first_line(self, token: Token) -> Span:
        """The lines of a fence without the opening one, whose info string is not code."""
        first, last = token.map or (0, 0)
        return self._start(min(first + 1, last)), self._start(last)

    def raw(self, span: Span) -> Span:
        start, end = span
        return start + bisect_left(self._dropped, start), end + bisect_left(self._dropped, end)

    def _start(self, line: int) -> int:
        return self._starts[line] if line < len(self._starts) else len(self.normalised)


def _may_hide_code(token: Token) -> bool:
    """Whether reading HTML as text could move code: bare tags cannot, attributes can."""
    if token.type == "html_block":
        return True
    html = [child.content for child in token.children or () if child.type == "html_inline"]
    return not all(_BARE_TAG.fullmatch(content) for content in html)


def _code(tokens: Sequence[Token], source: _Source) -> list[Span]:
    spans: list[Span] = []
    for token in tokens:
        if token.type == "fence":
            spans.append(source.after_first_line(token))
        elif token.type == "code_block":
            spans.append(source.lines(token))
        elif token.type == "inline" and "at" in token.meta:
            spans += _inline_code(token.children or [], token.meta["at"], source.normalised)
    return sorted(span for span in spans if span[0] < span[1])


def _inline_code(children: Iterable[Token], at: Sequence[int], source: str) -> list[Span]:
    """Spans of code inside one inline token; ``at[i]`` is the offset of its character i."""
    spans: list[Span] = []
    for child in children:
        if child.type == "code_inline":
            first, last = child.meta["span"]
            start, end = at[first], at[last - 1] + 1
            # A wrong offset must never protect something else.
            if source[start] == "`" == source[end - 1]:
                spans.append((start, end))
        elif child.type == "image":
            label = child.meta["label_at"]
            inner = at[label : label + len(child.content)]
            spans += _inline_code(child.children or [], inner, source)
    return spans


def _both(left: list[Span], right: list[Span]) -> list[Span]:
    """What two sorted lists of spans have in common."""
    common: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            common.append((start, end))
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1
    return common


Locate = Callable[[StateBlock, Sequence[Token]], None]
"""Notes in each inline token of a block where its characters are in the source."""


def _tracked(rule: RuleFuncBlockType, locate: Locate) -> RuleFuncBlockType:
    """``rule`` with ``locate`` called for the inline tokens it makes, if any may hold code."""

    def tracked(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        count = len(state.tokens)
        if not rule(state, start, end, silent):
            return False
        inline = [token for token in state.tokens[count:] if token.type == "inline"]
        if any("`" in token.content for token in inline):
            locate(state, inline)
        return True

    return tracked


def _in_lines(state: StateBlock, inline: Sequence[Token]) -> None:
    """A paragraph's content is the tails of its lines, joined and trimmed."""
    token = inline[0]
    first, last = token.map or (0, 0)
    offsets: list[int] = []
    for line in range(first, last):
        end = state.eMarks[line]
        length = len(state.getLines(line, line + 1, state.blkIndent, False))
        offsets.extend(range(end - length, end + 1))
    trimmed = state.getLines(first, last, state.blkIndent, False).index(token.content)
    token.meta["at"] = offsets[trimmed : trimmed + len(token.content)]


def _in_heading(state: StateBlock, inline: Sequence[Token]) -> None:
    token = inline[0]
    line = (token.map or [0])[0]
    hashes = state.skipCharsStr(state.bMarks[line] + state.tShift[line], "#")
    start = state.src.index(token.content, hashes)
    token.meta["at"] = range(start, start + len(token.content))


def _in_table(state: StateBlock, inline: Sequence[Token]) -> None:
    """A cell is found by its number in the row; ``\\|`` has lost its backslash in it."""
    for line, row in groupby(inline, key=lambda token: (token.map or [0])[0]):
        cells = _cells(state.src, state.bMarks[line] + state.tShift[line], state.eMarks[line])
        # A row may have fewer cells than the head; the missing ones are empty.
        for token, cell in zip(row, cells, strict=False):
            start = "".join(state.src[offset] for offset in cell).find(token.content)
            if start < 0:
                continue  # better no code than wrong code
            token.meta["at"] = cell[start : start + len(token.content)]


def _cells(source: str, start: int, end: int) -> list[list[int]]:
    """Offsets of the characters of each cell of a row, cut as GitHub's tables are."""
    cells: list[list[int]] = [[]]
    escaped = False
    line = source[start:end]
    start += len(line) - len(line.lstrip(MD_TRIM_CHARS))
    for offset in range(start, start + len(line.strip(MD_TRIM_CHARS))):
        if source[offset] == "|" and not escaped:
            cells.append([])
        else:
            if source[offset] == "|":
                cells[-1].pop()
            cells[-1].append(offset)
        escaped = source[offset] == "\\"
    if not cells[0]:
        cells.pop(0)
    return cells


def _tracked_backtick(state: StateInline, silent: bool) -> bool:
    start, count = state.pos, len(state.tokens)
    matched = backtick(state, silent)
    if len(state.tokens) > count and state.tokens[-1].type == "code_inline":
        state.tokens[-1].meta["span"] = (start, state.pos)
    return matched


def _tracked_image(state: StateInline, silent: bool) -> bool:
    start, count = state.pos, len(state.tokens)
    matched = image(state, silent)
    if len(state.tokens) > count and state.tokens[-1].type == "image":
        state.tokens[-1].meta["label_at"] = start + len("![")
    return matched


def _parser(html: bool, tables: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": html})
    if tables:
        parser.enable("table")
    interrupts = ["paragraph", "reference", "blockquote"]
    block, inline = parser.block.ruler, parser.inline.ruler
    block.at("paragraph", _tracked(paragraph, _in_lines))
    block.at("lheading", _tracked(lheading, _in_lines))
    block.at("heading", _tracked(heading, _in_heading), {"alt": interrupts})
    block.at("table", _tracked(table, _in_table), {"alt": interrupts[:2]})
    inline.at("backticks", _tracked_backtick)
    inline.at("image", _tracked_image)
    return parser


_WITH_HTML = _parser(html=True, tables=True)
_WITHOUT_TABLES = _parser(html=True, tables=False)
_WITHOUT_HTML = _parser(html=False, tables=True)
