"""Finding words in a few short texts of a row, where there are few enough rows to look at each."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, func, or_

Texts = Sequence[SQLColumnExpression[Any]]


def matches(texts: Texts, search: str) -> ColumnElement[bool]:
    """Each word is somewhere in one of the texts, in any case."""
    lowered = _lowered(texts)
    return and_(
        *(
            or_(*(text.contains(word, autoescape=True) for text in lowered))
            for word in search.lower().split()
        )
    )


def relevance(texts: Texts, search: str) -> ColumnElement[int]:
    """4 for one of the texts as it is, 3 for the beginning of one, 2 for that of a word in one,
    1 for anything else."""
    whole = " ".join(search.lower().split())
    lowered = _lowered(texts)
    return case(
        (or_(*(text == whole for text in lowered)), 4),
        (or_(*(text.startswith(whole, autoescape=True) for text in lowered)), 3),
        (or_(*(text.contains(" " + whole, autoescape=True) for text in lowered)), 2),
        else_=1,
    )


def _lowered(texts: Texts) -> list[Any]:
    return [func.lower(text) for text in texts]
