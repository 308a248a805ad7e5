"""What people write, made harmless before it is stored."""

from bugtracker.errors import ContentInvalid, Violation
from bugtracker.markdown import sanitise
from bugtracker.messages import Message, _

MAX_DESCRIPTION = 20_000
MAX_COMMENT = 8_000
"""What the database takes: escaping may make a text longer than the contract lets one send."""


def harmless(markdown: str, pointer: str, *, longest: int) -> str:
    """The Markdown without active HTML. 422 when that is longer than can be stored."""
    text = sanitise(markdown)
    if len(text) > longest:
        reason = _("has so much HTML that it is too long once made harmless")
        raise _refusal(pointer, reason)
    return text


def harmless_and_not_empty(markdown: str, pointer: str, *, longest: int) -> str:
    """The same; 422 also when nothing is left."""
    text = harmless(markdown, pointer, longest=longest)
    if not text.strip():
        raise _refusal(pointer, _("has nothing but active HTML, which is removed"))
    return text


def _refusal(pointer: str, reason: Message) -> ContentInvalid:
    violation = Violation("content_invalid", reason, pointer=pointer)
    return ContentInvalid(_("The text {reason}.", reason=reason), errors=[violation])
