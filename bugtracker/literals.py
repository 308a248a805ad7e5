"""Values that are written into the text of a statement, because nothing else travels in the one
message with others."""

from uuid import UUID

Literal = UUID | bytes | int | str | None


def written(value: Literal) -> str:
    """As SQL. TypeError for anything but what cannot end a literal: identifiers."""
    if value is None:
        return "NULL"
    if isinstance(value, UUID):
        return f"'{value}'::uuid"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if type(value) is int:
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isalnum():
        return f"'{value}'"
    raise TypeError(f"no identifier: {type(value).__name__}")
