"""What a filter selects, said again in Python over a few dozen issues."""

import operator
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from bugtracker.rsql.tree import And, Comparison, Node, Or, Value

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
STATUSES = ["open", "in_progress", "resolved", "closed", "reopened"]
PRIORITIES = ["low", "medium", "high", "critical"]
TITLES = ["Tide", "tide table", "100% wet", "100 wet", "a_b", "axb", "back\\slash", "st*r", '"q"']
PEOPLE = ["grace", "Linus", "me"]
STEPS = [timedelta(0), timedelta(hours=12), timedelta(days=7), timedelta(days=7, seconds=1)]
ROWS = 40

Row = dict[str, Any]


def rows() -> list[Row]:
    """The issues: every field varies against every other one."""
    return [_row(n) for n in range(ROWS)]


def _row(n: int) -> Row:
    return {
        "number": n // 2 + 1,
        "project": "OLD" if n % 2 else "TLS",
        "archived": bool(n % 2),
        "title": TITLES[n % len(TITLES)],
        "status": STATUSES[n % 5],
        "priority": PRIORITIES[n // 3 % 4],
        "reporter": PEOPLE[n // 2 % 3],
        "assignee": None if n % 4 == 0 else PEOPLE[n % 3],
        "due_date": None if n % 3 == 0 else NOW.date() + timedelta(days=n % 7 - 3),
        "created_at": NOW - STEPS[n % 4] * (n % 3),
    }


def one_of(*words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words)


TEXTS = [*TITLES, "*", "t*e", "*TIDE*", "**", "100%*", "*\\*", "tide%", "a_b*", "*b", "", "null"]
VALUES: dict[str, st.SearchStrategy[str]] = {
    "number": st.integers(-1, ROWS // 2 + 2).map(str),
    "project": one_of("TLS", "OLD", "tls", "NONE"),
    "archived": one_of("true", "false"),
    "title": st.sampled_from(TEXTS),
    "status": st.sampled_from(STATUSES),
    "priority": st.sampled_from(PRIORITIES),
    "reporter": one_of("grace", "LINUS", "me", "nobody"),
    "assignee": one_of("grace", "linus", "me", "nobody", "null"),
    "due_date": one_of("2026-03-14", "2026-03-12", "0d", "-1d", "2d", "1w", "+3d", "null"),
    "created_at": one_of("2026-03-14", "-12h", "-7d", "-1w", "-0m", "2026-03-07T16:09:26+01:00"),
}
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ORDERED = {"number", "status", "priority", "due_date", "created_at"}
NULLABLE = {"assignee", "due_date"}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Comparisons that the language knows, of the fields above."""
    name = draw(st.sampled_from(sorted(VALUES)))
    known = ["==", "!="] if name == "archived" else ["==", "!=", "=in=", "=out="]
    known += [*ORDER] if name in ORDERED else []
    known += ["=null="] if name in NULLABLE else []
    chosen = draw(st.sampled_from(known))
    if chosen == "=null=":
        return Comparison(name, chosen, (Value(draw(one_of("true", "false"))),))
    most = 3 if chosen in ("=in=", "=out=") else 1
    texts = draw(st.lists(VALUES[name], min_size=1, max_size=most))
    if chosen in ORDER:
        texts = [text if text != "null" else "0d" for text in texts]
    is_list = chosen in ("=in=", "=out=")
    return Comparison(name, chosen, tuple(_value(name, text, is_list) for text in texts))


def _value(name: str, text: str, is_list: bool) -> Value:
    """Titles in quotes; their stars live where they may."""
    if name != "title":
        return Value(text)
    stars = () if is_list else tuple(n for n, char in enumerate(text) if char == "*")
    return Value(text, quoted=True, stars=stars)


def selects(node: Node, row: Row) -> bool:
    """Whether the filter selects the issue."""
    if isinstance(node, And):
        return all(selects(part, row) for part in node.parts)
    if isinstance(node, Or):
        return any(selects(part, row) for part in node.parts)
    actual = row[node.name]
    if node.operator == "=null=":
        return (actual is None) == (node.values[0].text == "true")
    if compare := ORDER.get(node.operator):
        expected = _meant(node.name, node.values[0])
        return actual is not None and compare(_rank(node.name, actual), expected)
    equal = any(_equals(node.name, actual, value) for value in node.values)
    return equal if node.operator in ("==", "=in=") else not equal


def _equals(name: str, actual: Any, value: Value) -> bool:
    if actual is None or value.is_null:
        return actual is None and value.is_null
    if name == "title":
        pieces = (".*" if n in value.stars else re.escape(c) for n, c in enumerate(value.text))
        return re.fullmatch("".join(pieces), actual, re.IGNORECASE | re.DOTALL) is not None
    return bool(_rank(name, actual) == _meant(name, value))


def _rank(name: str, word: Any) -> Any:
    order = {"status": STATUSES, "priority": PRIORITIES}.get(name)
    if order:
        return order.index(word)
    return word.lower() if name in ("project", "reporter", "assignee") else word


def _meant(name: str, value: Value) -> Any:
    text = value.text
    if name == "number":
        return int(text)
    if name == "archived":
        return text == "true"
    if name == "due_date":
        return NOW.date() + _span(text) if text[-1] in "dw" else date.fromisoformat(text)
    if name == "created_at":
        return _instant(text)
    return _rank(name, text)


def _instant(text: str) -> datetime:
    if text[-1] in "mhdw":
        return NOW + _span(text)
    return datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")


def _span(text: str) -> timedelta:
    hours = {"m": 1 / 60, "h": 1, "d": 24, "w": 168}[text[-1]]
    return timedelta(hours=int(text[:-1]) * hours)


def stored(row: Row, org_id: UUID, ids: dict[str, UUID], issue_id: UUID) -> Row:
    """The row as it goes into the table of issues; ``ids`` of projects and people by name."""
    return {
        "org_id": org_id,
        "id": issue_id,
        "project_id": ids[row["project"]],
        "number": row["number"],
        "title": row["title"],
        "description": "",
        "status": row["status"],
        "priority": row["priority"],
        "reporter_id": ids[row["reporter"]],
        "assignee_id": None if row["assignee"] is None else ids[row["assignee"]],
        "due_date": row["due_date"],
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "version": 1,
    }
