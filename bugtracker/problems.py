"""The one form of every refusal: problem+json (RFC 9457).

Code raises a subclass of :class:`AppError` (:mod:`errors`); :func:`problem` turns it into the
document. ``code`` is stable and never translated; ``title`` and ``detail`` are messages, in the
language of whoever asked. Each code is documented in the contract, and a test compares the two
lists both ways.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from bugtracker import metrics
from bugtracker.language import Translator, language_headers
from bugtracker.messages import Message

PROBLEM_MEDIA_TYPE = "application/problem+json"

must_be_marked = False
"""Whether a text that nobody can translate is an error; the tests switch it on."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request, and its place.

    ``pointer`` is a JSON pointer into the body, ``parameter`` the name of a query, path or header
    parameter; one of them is set. ``code`` is the schema keyword that failed, or our own word.
    ``position`` is the offset in the parameter's text, in characters from 0, where that is known.
    """

    code: str
    detail: Message
    pointer: str | None = None
    parameter: str | None = None
    position: int | None = None

    def as_dict(self) -> dict[str, Any]:
        place = (
            {"pointer": self.pointer} if self.parameter is None else {"parameter": self.parameter}
        )
        return {
            **{k: v for k, v in place.items() if v is not None},
            **({} if self.position is None else {"position": self.position}),
            "code": self.code,
            "detail": marked(self.detail),
        }


class AppError(Exception):
    """A refusal that the client is told about. Subclasses fix status, code and title."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[Message]
    commits: ClassVar[bool] = False
    """True where the refusal must leave a trace: the transaction is committed, then answered."""

    def __init__(
        self,
        detail: Message,
        *,
        errors: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extensions = extensions


def marked(text: Message) -> Message:
    """The text, which must be a message."""
    if must_be_marked and not isinstance(text, Message):
        raise TypeError(f"make it a message, see docs/localisation.md: _({text!r})")
    return text


def problem(error: AppError, request_id: str) -> dict[str, Any]:
    """The problem document of an error, its texts not translated yet."""
    document: dict[str, Any] = {
        "type": f"urn:bugtracker:problem:{error.code}",
        "title": marked(error.title),
        "status": error.status,
        "code": error.code,
        "detail": marked(error.detail),
        "request_id": request_id,
    }
    if error.errors:
        document["errors"] = [violation.as_dict() for violation in error.errors]
    document.update(error.extensions)
    return document


def problem_bytes(error: AppError, state: MutableMapping[str, Any], language: str) -> bytes:
    """The problem document in a language, encoded. Every refusal passes here, is counted, and
    noted in the request's ASGI state for its line in the log."""
    metrics.problems.labels(error.code).inc()
    state["code"] = error.code
    translator = Translator(lambda: language)
    document = problem(error, state["request_id"])
    return orjson.dumps(document, translator, orjson.OPT_PASSTHROUGH_SUBCLASS)


def problem_headers(error: AppError, language: str) -> dict[str, str]:
    """The headers of the document in a language, and those of the refusal itself."""
    return {
        "Content-Type": PROBLEM_MEDIA_TYPE,
        **language_headers(language),
        **error.headers,
    }


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def all_errors() -> Iterator[type[AppError]]:
    """Every concrete error class, for the contract tests."""
    pending = [AppError]
    while pending:
        for child in pending.pop().__subclasses__():
            pending.append(child)
            yield child
