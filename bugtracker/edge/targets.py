"""The request target: which paths and query strings go on to the application.

The router, the validator and the handlers each decode the target for themselves. What they could
read differently is refused here, once, so that nobody can be routed past a check.
"""

import re
from urllib.parse import unquote_to_bytes

from bugtracker.errors import RequestMalformed, ResourceNotFound, UriTooLong
from bugtracker.messages import Message, _

MAX_TARGET_BYTES = 8192

# Nearly every real target matches one of these and needs no decoding.
_PLAIN_PATH = re.compile(
    rb"/|(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+/?",
)
_PLAIN_QUERY = re.compile(rb"[!-$&-~]*")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def check_target(raw_path: bytes, query: bytes) -> None:
    """Refuse a target that is too long (414), unreadable (400) or climbs out of its path (404)."""
    if len(raw_path) + len(query) >= MAX_TARGET_BYTES:
        raise UriTooLong(
            _("Keep path and query string below {limit} bytes.", limit=MAX_TARGET_BYTES)
        )
    if not _PLAIN_PATH.fullmatch(raw_path):
        _check_unusual_path(raw_path)
    if not _PLAIN_QUERY.fullmatch(query):
        _decoded(query, _("query string"))


def _check_unusual_path(raw_path: bytes) -> None:
    if not raw_path.startswith(b"/"):
        raise RequestMalformed(_("The path must start with a slash."))
    text = _decoded(raw_path, _("path"))
    hidden_slash = text.count("/") != raw_path.count(b"/")
    climbs = any(segment in (".", "..") for segment in text.split("/"))
    if hidden_slash or climbs or "//" in text or "\\" in text:
        raise ResourceNotFound(_("There is nothing at this path."))


def _decoded(raw: bytes, part: Message) -> str:
    """Undo the percent-encoding. RequestMalformed unless the result is UTF-8 without controls."""
    if not raw.isascii() or _BAD_ESCAPE.search(raw):
        raise RequestMalformed(_("The {part} is not percent-encoded correctly.", part=part))
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        detail = _("The {part} is not UTF-8 after percent-decoding.", part=part)
        raise RequestMalformed(detail) from None
    if _CONTROL.search(text):
        raise RequestMalformed(_("The {part} contains a control character.", part=part))
    return text
