"""Cutting texts: nothing lost, nothing woken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bugtracker.importing.splitting import CONTINUED, Part, split
from bugtracker.markdown import sanitise

FRAGMENTS = (
    "word ", "\n", "\r\n", "\n\n", "```\n", "```py\n", "~~~~\n", "- item\n", "  ", "    code\n",
    "> quote\n", "> ```\n", "<b>bold</b> ", "`co de` ", "<script>", "x" * 90, "é", "`",
    "| a | b |\n",
)  # fmt: skip


def code_of(text: str) -> str:
    """What Markdown takes for blocks of code."""
    tokens = MarkdownIt("commonmark").parse(text)
    return "".join(token.content for token in tokens if token.type in ("fence", "code_block"))


def joined(parts: list[Part]) -> str:
    return "".join(part.body for part in parts)


def _with_limits(parts: list[Part], first: int, rest: int) -> list[tuple[Part, int]]:
    """Parts and how long they may be."""
    return [(part, rest if index else first) for index, part in enumerate(parts)]


class TestSplit:
    def test_a_text_that_fits_is_one_part(self) -> None:
        assert split("a" * 500, 500, 200) == [Part("", "a" * 500, "")]

    def test_continuations_say_what_they_are(self) -> None:
        parts = split("word " * 200, 500, 300)
        assert not parts[0].text.startswith(CONTINUED)
        assert all(part.text.startswith(CONTINUED) for part in parts[1:])

    @pytest.mark.parametrize(
        ("text", "end"),
        [
            ("word " * 60 + "\n\n" + "word " * 60, "\n\n"),
            ("word " * 60 + "\r\n\r\n" + "word " * 60, "\r\n\r\n"),
            ("word " * 60 + "\n" + "word " * 60, "\n"),
            ("word " * 150, "word "),
        ],
    )
    def test_cuts_before_paragraphs_then_lines_then_words(self, text: str, end: str) -> None:
        parts = split(text, 500, 500)
        assert parts[0].body.endswith(end)
        assert joined(parts) == text

    def test_a_single_endless_word_is_cut_anywhere(self) -> None:
        parts = split("x" * 1000, 400, 300)
        assert [len(part.text) for part in parts] == [400, 300, 300, 45]
        assert joined(parts) == "x" * 1000

    def test_windows_line_ends_stay_whole(self) -> None:
        parts = split("x" * 399 + "\r\n" + "y" * 300, 400, 300)
        assert parts[0].body == "x" * 399

    @pytest.mark.parametrize("fence", ["```python", "~~~~", "> ```c"])
    def test_a_fence_is_closed_and_opened_again(self, fence: str) -> None:
        prefix = "> " if fence.startswith(">") else ""
        code = "".join(f"{prefix}if a < {n}: <script>{n}</script>\n" for n in range(60))
        text = f"{fence}\n{code}{prefix}{fence.strip('> pythonc')}\n"
        assert sanitise(text) == text
        parts = split(text, 600, 400)
        assert len(parts) > 3
        assert all(part.text == part.before + part.body + part.after for part in parts)
        assert "".join(code_of(part.text) for part in parts) == code_of(text)
        assert all(len(part.text) <= limit for part, limit in _with_limits(parts, 600, 400))

    def test_what_follows_a_cut_fence_is_prose_again(self) -> None:
        text = "```\n" + "code\n" * 100 + "```\n\nThe end."
        last = split(text, 300, 300)[-1].text
        assert code_of(last).endswith("code\n")
        assert "The end." not in code_of(last)

    def test_a_list_is_not_cut_before_its_indented_paragraphs(self) -> None:
        text = "1. " + "word " * 55 + "\n\n    inside\n\n" + "word " * 80
        assert all("inside" not in code_of(part.text) for part in split(text, 400, 400))

    def test_a_cut_never_wakes_what_was_code(self) -> None:
        """A code span longer than any part cannot be kept; its tags must not come alive."""
        text = "`" + "<img src=x onerror=alert(1)> " * 40 + "`"
        assert sanitise(text) == text
        for part in split(text, 300, 300):
            assert sanitise(part.text) == part.text

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from(FRAGMENTS), min_size=30, max_size=300).map("".join))
    def test_any_text_is_kept_within_limits_and_harmless(self, raw: str) -> None:
        text = sanitise(raw)
        parts = split(text, 500, 200)
        assert joined(parts) == text
        for part, limit in _with_limits(parts, 500, 200):
            assert len(part.before + part.body + part.after) <= limit
            assert sanitise(part.text) == part.text
