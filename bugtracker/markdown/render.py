"""Markdown to HTML for direct use in a page."""

import re
from collections.abc import Sequence
from typing import cast

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

URL_SCHEMES = {"http", "https", "mailto"}

_NAMES = (
    "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong "
    "table tbody td th thead tr ul"
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "ol": {"start"},
    "td": {"align"},
    "th": {"align"},
}
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}")
_SURROGATES = re.compile("[\ud800-\udfff]")


def _filter_attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return value if _LANGUAGE.fullmatch(value) else None
    return value


_CLEANER = nh3.Cleaner(
    tags=set(_NAMES.split()),
    attributes=_ATTRIBUTES,
    attribute_filter=_filter_attribute,
    url_schemes=URL_SCHEMES,
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    clean_content_tags={"script", "style"},
)


def _image(
    self: RendererHTML, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
) -> str:
    """An image becomes a link to it: pages must not load what strangers point at."""
    token = tokens[idx]
    source = str(token.attrs.get("src", ""))
    text = self.renderInlineAsText(token.children or [], options, env) or source
    inside_link = sum(other.nesting for other in tokens[:idx] if other.tag == "a") > 0
    if inside_link:
        return _escape(text)
    return f'<a href="{_escape(source)}">{_escape(text)}</a>'


def _escape(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    return parser


_PARSER = _parser()
_PARSER_WITHOUT_TABLES = _parser().disable("table")
MAX_CELLS = 10_000


def _parser_for(source: str) -> MarkdownIt:
    """Tables fill short rows up to the header's width: few characters could make a million cells,
    so a text that could is rendered without tables."""
    lines = source.split("\n")
    widest = max(line.count("|") for line in lines) + 1
    return _PARSER if widest * len(lines) <= MAX_CELLS else _PARSER_WITHOUT_TABLES


def _align_cells(tokens: Sequence[Token]) -> None:
    """Say a cell's alignment by attribute: ``style`` is never let through."""
    for token in tokens:
        style = token.attrs.pop("style", None) if token.type in ("td_open", "th_open") else None
        if style:
            token.attrs["align"] = str(style).removeprefix("text-align:")


def render(source: str) -> str:
    """HTML of a Markdown ``source`` (any string); holds no script, style, image or raw HTML.

    Links are limited to http, https and mailto, and images are links to the image.
    """
    env: dict[str, object] = {}
    parser = _parser_for(source)
    tokens = parser.parse(_SURROGATES.sub("\ufffd", source), cast(EnvType, env))
    _align_cells(tokens)
    return _CLEANER.clean(parser.renderer.render(tokens, parser.options, cast(EnvType, env)))
