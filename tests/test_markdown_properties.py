"""What holds for any text at all: hostile ones, random ones, very repetitive ones."""

import re
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bugtracker.markdown import render, sanitise
from bugtracker.markdown.tags import REMOVED
from tests.timing import within

_PIECES = (
    "` `` ```\n ~~~\n < </ > script <script> </script> <b> </b> <div> </div>\n <!-- --> <? ?> "
    "<![CDATA[ ]]> [x] [ ]( ]: ) ( javascript: data: alert(1) &#58; java | |a|b|\n |-|-|\n \\ "
    "\r\n \0 \ud800 &lt; # x https://a.test <https://a.test> <svg> </svg> <style> <pre> ==\n "
    "---\n ! * <textarea> \x0b \x0c \xa0"
)
FRAGMENTS = _PIECES.split(" ")
FRAGMENTS += ["\n", "\n\n", "> ", "- ", "1. ", "    ", "\t", " ", "[x]: ", '<b title="', '"', "'"]
FRAGMENTS += ["<img src=x onerror=alert(1)>", "<x onclick=1>", '<a href="', "\n|-|\n"]
MIXED = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))

# Thousands of the same: whatever scans ahead from each of them is quadratic.
HOSTILE = [
    *("<", "[", "`", "](", "[a](", "![", "> ", "- ", "<a ", "<a b='", "<!--", "<?", "<![CDATA["),
    *("<script>", "<svg>`a`", "</", "<x onclick=1>", "<http:", "<a@", "\\<a", "]: ", "|`a`", "*_"),
    *(
        "[](javascript:",
        "<div>\n`\n\n",
        "&",
        "~",
        "\n",
        "[a][",
        "- a\n",
        "[x]: a\n",
        "](\\",
        "<a  ",
    ),
]
BUILT = [
    "<" * 4000 + "<x onclick=1>" + "x onclick=1>" * 1000,
    "".join("`" * n + " " for n in range(1, 195)) + "<b x=1>",
    "".join("> " * (n % 30) + "a `b` <c>\n" for n in range(500)),
    "".join(" " * n + "- a\n" for n in range(190)) + "<b x=1>`",
    "|a" * 100 + "|\n" + "|-" * 100 + "|\n" + ("|`a`" * 100 + "|\n") * 40 + "<b x=1>",
    "[a](" + "(" * 20_000,
    "](" + "\\" * 20_000,
    "<a" + " " * 20_000,
    "![" * 2500 + "](x)" * 2500 + "<b x=1>`",
]


class TestAnyText:
    @given(MIXED | ANY_TEXT)
    @settings(max_examples=400, deadline=None)
    def test_sanitising_twice_is_sanitising_once(self, text: str) -> None:
        stored = sanitise(text)
        assert sanitise(stored) == stored

    @given(MIXED)
    @settings(max_examples=400, deadline=None)
    def test_nothing_active_survives_any_reading(self, text: str) -> None:
        stored = sanitise(text)
        for reader in READERS:
            assert active_parts(reader.render(stored.replace("\ud800", "?"))) == []
        assert active_parts(render(text)) == []

    @given(MIXED)
    @settings(max_examples=400, deadline=None)
    def test_code_survives_where_no_html_is(self, text: str) -> None:
        text = re.sub(r"<(?=[A-Za-z/!?])|[\r\0\ud800|]", "< ", text).replace(":", ".")
        code = code_of(text + "\n\n`<script>`")
        assert code_of(sanitise(text + "\n\n`<script>`")) == code


class TestSpeed:
    @pytest.mark.parametrize("text", [(one * 20_000)[:20_000] for one in HOSTILE] + BUILT)
    def test_hostile_texts_are_no_slower_than_long_ones(self, text: str) -> None:
        assert seconds(lambda: sanitise(text)) < within(0.4)
        assert seconds(lambda: render(text)) < within(0.4)

    def test_plain_texts_take_microseconds(self) -> None:
        text = "Plain words, a < b, [a link](https://x.y) and <https://x.y>.\n" * 10
        assert seconds(lambda: [sanitise(text) for _ in range(1000)]) < within(0.1)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of ``work``, the best of three; coverage's tracing would count threefold."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        return min(_measured(work) for _ in range(3))
    finally:
        sys.settrace(trace)


def _measured(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def careless(*, html: bool, tables: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": html})
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser.enable("table") if tables else parser


READERS = [
    careless(html=True, tables=True),
    careless(html=True, tables=False),
    careless(html=False, tables=True),
]


def code_of(text: str) -> list[str]:
    """Contents of all code of a text, as CommonMark sees it."""
    tokens = MarkdownIt("commonmark").parse(text)
    parts = [part for token in tokens for part in (token, *(token.children or ()))]
    return [part.content for part in parts if part.type in ("fence", "code_block", "code_inline")]


class _Activity(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in REMOVED - {"img"}:
            self.found.append(tag)
        for name, value in attrs:
            scheme = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or name in ("style", "id", "name", "srcdoc", "formaction"):
                self.found.append(name)
            if name in ("href", "src") and re.match("(javascript|vbscript|data|file):.", scheme):
                self.found.append(scheme)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


def active_parts(html: str) -> list[str]:
    """Active elements, attributes and addresses of a piece of HTML."""
    parser = _Activity()
    parser.feed(html)
    parser.close()
    return parser.found
