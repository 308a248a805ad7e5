"""The syntax tree of a filter. Positions are offsets in characters, from 0; equality leaves them
out.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Value:
    """One value as it was meant: without quotes and escapes.

    ``stars`` are the offsets in ``text`` of those ``*`` that stand for anything.
    """

    text: str
    quoted: bool = False
    stars: tuple[int, ...] = ()
    position: int = field(default=0, compare=False)

    @property
    def is_null(self) -> bool:
        """Whether it is the word null, unquoted."""
        return self.text == "null" and not self.quoted


@dataclass(frozen=True, slots=True)
class Comparison:
    """``name operator values``; the operator as it is known to the compiler, ``<`` for ``=lt=``."""

    name: str
    operator: str
    values: tuple[Value, ...]
    position: int = field(default=0, compare=False)
    operator_position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more."""

    parts: tuple["Node", ...]


Node = Comparison | And | Or
