"""How a refused filter is put into words."""

from collections.abc import Iterable, Sequence

from bugtracker.errors import FilterInvalid, Violation
from bugtracker.validation import MAX_VIOLATIONS

MOST_SHOWN = 40


def invalid(violations: Iterable[Violation]) -> FilterInvalid:
    """The refusal with everything that is wrong, in the order of the text."""
    ordered = sorted(violations, key=lambda each: each.position or 0)
    return FilterInvalid("The filter cannot be used; see errors.", errors=ordered[:MAX_VIOLATIONS])


def violation(code: str, position: int, detail: str) -> Violation:
    """One thing wrong with the filter, at this offset."""
    return Violation(code, detail, parameter="filter", position=position)


def found(text: str) -> str:
    """What was written, shortened, between backquotes."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return f"`{shown}`" if len(shown) <= MOST_SHOWN else f"`{shown[:MOST_SHOWN]}…`"


def one_of(words: Sequence[str]) -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
