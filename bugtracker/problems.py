"""The one form of every refusal: problem+json (RFC 9457).

Code raises a subclass of :class:`AppError` (:mod:`errors`); :func:`problem` turns it into the
document. ``code`` is stable and never translated, ``detail`` says what to change. Each code is
documented in the contract, and a test compares the two lists both ways.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

PROBLEM_MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request, and its place.

    ``pointer`` is a JSON pointer into the body, ``parameter`` the name of a query, path or header
    parameter; one of them is set. ``code`` is the schema keyword that failed, or our own word.
    ``position`` is the offset in the parameter's text, in characters from 0, where that is known.
    """

    code: str
    detail: str
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
            "detail": self.detail,
        }


class AppError(Exception):
    """A refusal that the client is told about. Subclasses fix status, code and title."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    commits: ClassVar[bool] = False
    """True where the refusal must leave a trace: the transaction is committed, then answered."""

    def __init__(
        self,
        detail: str,
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


def problem(error: AppError, request_id: str) -> dict[str, Any]:
    """The problem document of an error."""
    document: dict[str, Any] = {
        "type": f"urn:bugtracker:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors:
        document["errors"] = [violation.as_dict() for violation in error.errors]
    document.update(error.extensions)
    return document


def problem_bytes(error: AppError, request_id: str) -> bytes:
    """The problem document, encoded."""
    return orjson.dumps(problem(error, request_id))


def all_errors() -> Iterator[type[AppError]]:
    """Every concrete error class, for the contract tests."""
    pending = [AppError]
    while pending:
        for child in pending.pop().__subclasses__():
            pending.append(child)
            yield child
