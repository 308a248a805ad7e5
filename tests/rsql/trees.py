"""Syntax trees of any shape, and their way back to text."""

import re

from hypothesis import strategies as st

from bugtracker.rsql.parser import ALIASES, MAX_DEPTH
from bugtracker.rsql.tree import And, Comparison, Node, Or, Value

BARE = re.compile(r"""[^\s"'();,=!<>~\x00-\x1f\x7f-\x9f]+""")
CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"])
NAMES = st.sampled_from(["title", "status", "and", "or", "no.such-field", "me", "Ω", "__class__"])
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "=in=", "=out=", "=null=", "=like="]
SPELLINGS = {long: short for short, long in ALIASES.items()}


@st.composite
def values(draw: st.DrawFn) -> Value:
    """Any value, its stars alive or not. Bare ones have no other way to say a star."""
    text = draw(st.text(CHARACTERS | st.sampled_from("*\\\"'"), max_size=12))
    stars = tuple(n for n, char in enumerate(text) if char == "*" and draw(st.booleans()))
    all_live = len(stars) == text.count("*")
    quoted = not (BARE.fullmatch(text) and all_live) or draw(st.booleans())
    return Value(text, quoted, stars)


COMPARISONS = st.builds(
    Comparison,
    NAMES,
    st.sampled_from(OPERATORS),
    st.lists(values(), min_size=1, max_size=4).map(tuple),
)


def nodes(leaves: st.SearchStrategy[Comparison]) -> st.SearchStrategy[Node]:
    """Trees of these comparisons, within the limits."""

    def joined(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(parts, min_size=2, max_size=3).map(tuple)
        return st.builds(And, several) | st.builds(Or, several)

    tree: st.SearchStrategy[Node] = st.recursive(leaves, joined, max_leaves=12)
    return tree.filter(lambda node: groups(node) <= MAX_DEPTH and leaves_of(node) <= 20)


def leaves_of(node: Node) -> int:
    """How many comparisons it has."""
    return 1 if isinstance(node, Comparison) else sum(leaves_of(part) for part in node.parts)


def groups(node: Node) -> int:
    """How deep its text nests parentheses."""
    if isinstance(node, Comparison):
        return 0
    return max(groups(part) + needs_group(node, part) for part in node.parts)


def needs_group(node: And | Or, part: Node) -> bool:
    """Whether a part stands in parentheses: all but an And within an Or."""
    return isinstance(part, Or) or (isinstance(part, And) and isinstance(node, And))


@st.composite
def texts_of(draw: st.DrawFn, node: Node) -> str:
    """One of the ways to write it."""
    if isinstance(node, Comparison):
        return draw(_comparison(node))
    symbols = [";", " and ", " AND "] if isinstance(node, And) else [",", " or ", " , "]
    pieces: list[str] = []
    for part in node.parts:
        text = draw(texts_of(part))
        pieces += [f"({text})" if needs_group(node, part) else text]
        pieces += [draw(st.sampled_from(symbols))]
    return "".join(pieces[:-1])


@st.composite
def _comparison(draw: st.DrawFn, node: Comparison) -> str:
    operator = draw(st.sampled_from([node.operator, SPELLINGS.get(node.operator, node.operator)]))
    written = [draw(_value(value)) for value in node.values]
    bracketed = len(written) > 1 or draw(st.booleans())
    arguments = f"({','.join(written)})" if bracketed else written[0]
    blank = draw(st.sampled_from(["", " "]))
    return f"{node.name}{blank}{operator}{blank}{arguments}"


@st.composite
def _value(draw: st.DrawFn, value: Value) -> str:
    if not value.quoted:
        return value.text
    quote = draw(st.sampled_from("\"'"))
    needed = {quote, "\\"}
    escaped = (
        "\\" + char if char in needed or (char == "*" and n not in value.stars) else char
        for n, char in enumerate(value.text)
    )
    return quote + "".join(escaped) + quote
