"""How a refused filter is put into words."""

from collections.abc import Iterable

from bugtracker.errors import FilterInvalid, Violation
from bugtracker.messages import Message, _
from bugtracker.violations import MAX_VIOLATIONS

MOST_SHOWN = 40


def invalid(violations: Iterable[Violation]) -> FilterInvalid:
    """The refusal with everything that is wrong, in the order of the text."""
    ordered = sorted(violations, key=lambda each: each.position or 0)
    return FilterInvalid(
        _("The filter cannot be used; see errors."), errors=ordered[:MAX_VIOLATIONS]
    )


def violation(code: str, position: int, detail: Message) -> Violation:
    """One thing wrong with the filter, at this offset."""
    return Violation(code, detail, parameter="filter", position=position)


def found(text: str) -> str:
    """What was written, shortened, between backquotes."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return f"`{shown}`" if len(shown) <= MOST_SHOWN else f"`{shown[:MOST_SHOWN]}…`"
