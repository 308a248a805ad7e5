"""What happens to one raw HTML tag of a Markdown source."""

import re

import nh3

from bugtracker.markdown.render import URL_SCHEMES

_HARMLESS_NAMES = (
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col "
    "colgroup dd del details dfn div dl dt em fieldset figcaption figure footer h1 h2 h3 h4 h5 "
    "h6 header hgroup hr i ins kbd label legend li main mark nav ol p pre q rp rt ruby s samp "
    "section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt "
    "u ul var wbr"
)
_OPAQUE_NAMES = "applet iframe math noembed noframes noscript object script style svg template"
_ACTIVE_NAMES = (
    "area audio base basefont bgsound body button canvas datalist dialog embed font form frame "
    "frameset head html image img input isindex keygen layer link listing map marquee menuitem "
    "meta meter nextid option optgroup output param picture plaintext portal progress select "
    "slot source textarea title track video xml xmp"
)

ALLOWED = frozenset(_HARMLESS_NAMES.split())
"""Harmless elements: they stay, with the attributes of ``_ATTRIBUTES``."""

WITH_CONTENT = frozenset(_OPAQUE_NAMES.split())
"""Elements whose content is no text: it goes with them."""

REMOVED = WITH_CONTENT | frozenset(_ACTIVE_NAMES.split())
"""Elements that load, run, ask for input or change how the rest is read."""

_COMMON_ATTRIBUTES = frozenset({"title", "align", "dir", "lang"})
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "a": frozenset({"href"}),
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "code": frozenset({"class"}),
    "details": frozenset({"open"}),
    "li": frozenset({"value"}),
    "ol": frozenset({"start", "type", "reversed"}),
    "td": frozenset({"colspan", "rowspan", "valign", "width"}),
    "th": frozenset({"colspan", "rowspan", "valign", "width", "scope"}),
    "time": frozenset({"datetime"}),
}

_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
# Whitespace without line ends: a tag over several lines may have a quote's "> " inside.
_SIMPLE_TAG = re.compile(
    r"</?[A-Za-z][A-Za-z0-9]*"
    r"(?:[ \t]+[A-Za-z]+(?:=(?:\"[^\"<>`\r\n]*\"|'[^'\"<>`\r\n]*'|[\w%#.-]+))?)*[ \t]*/?>"
)
_SIMPLE_ATTRIBUTE = re.compile(r"[ \t]([A-Za-z]+)(?:=(?:\"([^\"]*)\"|'([^']*)'|([\w%#.-]+)))?")
_VALUES = {
    "class": re.compile(r"language-[\w+#.-]{1,40}"),
    "href": re.compile(r"(?i:https?://|mailto:)[^\s\"'\\]+"),
}
_CLEANED = re.compile(r"<(?:a|span)\b([^<>]*)>")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BEHAVIOUR = re.compile(
    r"[\s\"'/](?:on\w+|style|is|src|srcdoc|href|xlink:\w+|action|formaction|data|to|values)\s*=",
    re.IGNORECASE,
)
_IMAGE_SOURCE = re.compile(r"\ssrc\s*=\s*([\"']?)(https?://[^\s\"'<>()\[\]\\`]+)\1[\s/>]", re.I)
_IMAGE_TEXT = re.compile(r"\salt\s*=\s*(?:\"([\w .,:#-]*)\"|'([\w .,:#-]*)')", re.I | re.A)


def name_of(tag: str) -> str:
    """Lower-case element name of a complete open or close tag."""
    match = _NAME.match(tag)
    return match[1].lower() if match else ""


def is_text(tag: str) -> bool:
    """Whether a tag is what somebody meant to be read: ``List<String>``, ``<event name>``.

    No element is called that and no attribute of it would do anything.
    """
    name = name_of(tag)
    return name not in ALLOWED and name not in REMOVED and not _BEHAVIOUR.search(tag)


def replacement(tag: str) -> str:
    """The tag, or what stands in its place: cleaned attributes, an image's Markdown, nothing."""
    name = name_of(tag)
    if name == "img":
        return _markdown_image(tag)
    if name not in ALLOWED:
        return ""
    return tag if _is_harmless(tag, name) else _cleaned(tag, name)


def _markdown_image(tag: str) -> str:
    """``![alt](src)``, so that a pasted screenshot is not lost; nothing for odd sources."""
    source = _IMAGE_SOURCE.search(tag)
    if tag.startswith("</") or not source:
        return ""
    text = _IMAGE_TEXT.search(tag)
    return f"![{(text[1] or text[2] or '') if text else ''}]({source[2]})"


def _allowed_attributes(name: str) -> frozenset[str]:
    return _COMMON_ATTRIBUTES | _ATTRIBUTES.get(name, frozenset())


def _is_harmless(tag: str, name: str) -> bool:
    """Plainly written, with allowed attributes and values only: kept byte for byte."""
    if not _SIMPLE_TAG.fullmatch(tag):
        return False
    allowed = _allowed_attributes(name)
    for match in _SIMPLE_ATTRIBUTE.finditer(tag, len(name) + 1):
        attribute, value = match[1].lower(), match[2] or match[3] or match[4] or ""
        pattern = _VALUES.get(attribute)
        if attribute not in allowed or (pattern and not pattern.fullmatch(value)):
            return False
    return True


def _cleaned(tag: str, name: str) -> str:
    """The tag rewritten by nh3; without attributes when even that is not plain."""
    written = tag[: len(name) + 2] if tag.startswith("</") else tag[: len(name) + 1]
    if tag.startswith("</"):
        return f"{written}>"
    # nh3 parses whole documents and drops a lone <td>, so the attributes are cleaned on an
    # element that may stand anywhere.
    stand_in = "a" if name == "a" else "span"
    html = nh3.clean(
        f"<{stand_in}{_SURROGATES.sub('', tag[len(written) :])}",
        tags={stand_in},
        attributes={stand_in: set(_allowed_attributes(name) - {"class"})},
        url_schemes=URL_SCHEMES,
        url_relative="deny",
        link_rel=None,
    )
    match = _CLEANED.match(html)
    rewritten = f"{written}{match[1]}>" if match else f"{written}>"
    return rewritten if _is_harmless(rewritten, name) else f"{written}>"
