"""Request headers: the few that are read, in one unambiguous form.

A header that two layers could read differently (sent twice, oddly encoded, in capitals) is made
uniform or refused before anything behind the edge sees it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from bugtracker.errors import MediaTypeNotSupported, RequestMalformed, Violation
from bugtracker.messages import Message, _

Headers = Iterable[tuple[bytes, bytes]]

# Sent twice, these have no meaning we could agree on; the two lists may be joined (RFC 9110).
_SINGLE = (b"authorization", b"host", b"idempotency-key")
_LISTS = (b"if-match", b"if-none-match")
_ASCII = (*_SINGLE, *_LISTS, b"content-type")
_READ = frozenset(
    {
        *_ASCII,
        b"accept-language",
        b"access-control-request-method",
        b"content-encoding",
        b"content-length",
        b"expect",
        b"origin",
        b"transfer-encoding",
        b"x-forwarded-for",
        b"x-request-id",
    }
)
_VISIBLE_ASCII = re.compile(rb"[\t\x20-\x7e]*")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(
    rb"(%b/%b)((?:[ \t]*;[ \t]*%b=(?:%b|\"[^\"\\]*\"))*)[ \t]*;?[ \t]*"
    % (_TOKEN, _TOKEN, _TOKEN, _TOKEN)
)
_CHARSET = re.compile(rb";[ \t]*charset=\"?([^\";]*)", re.IGNORECASE)
_MAX_MEDIA_TYPE = 256


class RequestHeaders:
    """The headers that the edge reads, by lower-case name; repeated lines joined with a comma."""

    __slots__ = ("get", "repeated", "values")

    def __init__(self, headers: Headers) -> None:
        values: dict[bytes, bytes] = {}
        repeated: set[bytes] | None = None
        for name, value in headers:
            if name in _READ:
                if name in values:
                    repeated = (repeated or set()) | {name}
                    value = values[name] + b", " + value
                values[name] = value
        self.values = values
        self.repeated: frozenset[bytes] | set[bytes] = repeated or frozenset()
        self.get = values.get

    @property
    def announces_body(self) -> bool:
        """Whether a body follows the headers."""
        return b"transfer-encoding" in self.values or self.get(b"content-length", b"0") != b"0"

    @property
    def body_length(self) -> int | None:
        """The announced length in bytes, None when chunked. RequestMalformed when unclear."""
        length, coding = self.get(b"content-length"), self.get(b"transfer-encoding")
        if length is None and coding is not None and coding.lower() == b"chunked":
            return None
        if length is None or coding is not None or not length.isdigit():
            raise RequestMalformed(_("The length of the body is not clear."))
        return _bounded_int(length)

    def fits(self, limit: int) -> bool:
        """Whether the body is known to have at most `limit` bytes."""
        length = self.get(b"content-length", b"0")
        chunked = b"transfer-encoding" in self.values
        return not chunked and length.isdigit() and _bounded_int(length) <= limit


def require_host(read: RequestHeaders, http_version: str | None) -> None:
    """RFC 9112: a request of HTTP/1.1 says which host it is for (400)."""
    if http_version == "1.1" and read.get(b"host") is None:
        raise _malformed(b"host", "required", _("must be sent"))


def _bounded_int(digits: bytes) -> int:
    """int() of thousands of digits raises; nobody has a body of a billion gigabytes."""
    return int(digits) if len(digits) < 19 else 10**18


def uniform_headers(
    headers: list[tuple[bytes, bytes]], read: RequestHeaders
) -> list[tuple[bytes, bytes]]:
    """The headers as the application shall see them; the same list when nothing has to change.

    Raises RequestMalformed (400) and MediaTypeNotSupported (415).
    """
    replaced: dict[bytes, bytes] = {}
    for name in _SINGLE:
        if name in read.repeated:
            raise _malformed(name, "repeated", _("must be sent once"))
    for name in _ASCII:
        value = read.get(name)
        if value is not None and not _VISIBLE_ASCII.fullmatch(value):
            rule = _("may hold printable ASCII characters only")
            raise _malformed(name, "characters", rule)
    for name in _LISTS:
        if name in read.repeated:
            replaced[name] = read.values[name]
    _check_encoding(read)
    content_type = _uniform_content_type(read)
    if content_type is not None:
        replaced[b"content-type"] = content_type
    return replace_headers(headers, replaced) if replaced else headers


def replace_headers(
    headers: Headers, replaced: dict[bytes, bytes], dropped: frozenset[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    """A copy of the headers in which each replaced name occurs once and dropped names not."""
    kept = [pair for pair in headers if pair[0] not in replaced and pair[0] not in dropped]
    return [*kept, *replaced.items()]


def _malformed(name: bytes, code: str, rule: Message) -> RequestMalformed:
    shown = name.decode().title()
    violation = Violation(code, _("The header {rule}.", rule=rule), parameter=shown)
    return RequestMalformed(
        _("The header {name} {rule}.", name=shown, rule=rule), errors=[violation]
    )


def _check_encoding(read: RequestHeaders) -> None:
    encoding = read.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise MediaTypeNotSupported(
            _("Send the body without Content-Encoding."), headers={"Accept-Encoding": "identity"}
        )


def _uniform_content_type(read: RequestHeaders) -> bytes | None:
    """The media type in lower case, None when it is so already or absent."""
    value = read.get(b"content-type")
    if value is None or value == b"application/json":
        return None
    if b"content-type" in read.repeated:
        raise MediaTypeNotSupported(_("Send Content-Type once."))
    uniform = _parsed_content_type(value)
    return uniform if uniform != value else None


@lru_cache(maxsize=256)
def _parsed_content_type(value: bytes) -> bytes:
    match = _MEDIA_TYPE.fullmatch(value) if len(value) <= _MAX_MEDIA_TYPE else None
    if match is None:
        raise MediaTypeNotSupported(_("Content-Type is not a media type."))
    media_type, parameters = match.groups()
    charsets = _CHARSET.findall(parameters)
    if any(charset.strip().lower() != b"utf-8" for charset in charsets):
        raise MediaTypeNotSupported(_("Send text as UTF-8."))
    return bytes(media_type.lower() + parameters)
