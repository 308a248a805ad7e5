"""Values in the text of a statement: nothing that could end a literal."""

from uuid import UUID

import pytest

from bugtracker.literals import Literal, written

ID = UUID("0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a")


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (ID, "'0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a'::uuid"),
        (b"'\\\x00\xff", "'\\x275c00ff'::bytea"),
        (None, "NULL"),
        (-7, "-7"),
        ("WEB2", "'WEB2'"),
    ],
)
def test_identifiers_are_written_as_sql(value: Literal, sql: str) -> None:
    assert written(value) == sql


@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE issues; --", "", "a b", "a'", "a\\", "a\0", "caf\u00e9", "\uff17", str(ID)],
)
def test_texts_that_are_no_key_are_refused(value: str) -> None:
    with pytest.raises(TypeError, match="no identifier: str"):
        written(value)


@pytest.mark.parametrize("value", [True, 1.5, bytearray(b"x"), [ID], object()])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no identifier"):
        written(value)  # type: ignore[arg-type]
