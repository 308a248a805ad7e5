"""What holds for any filter at all; ``make fuzz-filters`` runs far more of them."""

import os
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import psycopg

from bugtracker.errors import FilterInvalid
from bugtracker.ids import new_id
from bugtracker.importing.bulk import insert_rows
from bugtracker.models import Issue, Project
from bugtracker.queries.issue_filters import FIELDS
from bugtracker.rsql import Scope, compile_filter
from bugtracker.rsql.parser import MAX_LENGTH, parse
from bugtracker.rsql.tree import Node
from bugtracker.security.named import in_same_project
from tests.rsql import oracle
from tests.rsql.trees import COMPARISONS, nodes, texts_of
from tests.world import World

EXAMPLES = int(os.environ.get("FILTER_EXAMPLES", "400"))
RELAXED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=RELAXED)
# Trees take ten times as long to draw as a text to read, and rows to select as long again.
TREES = settings(MANY, max_examples=EXAMPLES // 4)
QUERIES = settings(MANY, max_examples=EXAMPLES // 8)

SCOPE = Scope(UUID(int=1), UUID(int=2), oracle.NOW)
PIECES = [
    *FIELDS, "password_hash", "org_id", "__class__", "version", "accounts.email", "Issue",
    "==", "!=", "<", "<=", ">", ">=", "=in=", "=out=", "=null=", "=lt=", "=ge=", "=like=", "=", "~",
    "(", ")", ";", ",", " ", " and ", " or ", "and", "'", '"', "\\", "*", "%", "_", "null", "me",
    "open", "high", "true", "-7d", "9999w", "2025-01-01", "2025-02-30", "0001-01-01", "42",
    "99999999999", "-1", "2025-03-04T14:02:47Z", "2025-03-04T24:00:00+99:99", "TLS", "TLS-42",
    "01956177-5bd3-7b79-8822-1140e4b348cb", "' OR 1=1 --", "'; DROP TABLE issues; --", "$1", ":x",
    "%(x)s", "{", "\u202e", "\u0660", "\ud800", "\x00", "٣", "ß", "\U0001f41b",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))

# All that the SQL of a condition may be made of, beside parameters.
VOCABULARY = re.compile(
    r"(?:\s|[(),=]|<=?|>=?|<>|!="
    r"|%\((?:[a-z_]+_)?[0-9_]+\)s(?:::[A-Z ]+)?|\(?__\[POSTCOMPILE_[a-z_]*[0-9_]+\]\)?"
    r"|\b(?:issues|projects|people|members|accounts)\.[a-z_]+\b"
    r"|\b(?:SELECT|FROM|WHERE|LEFT|OUTER|JOIN|ON|AS|AND|OR|NOT|IN|IS|NULL|LIKE|CASE|WHEN|THEN|ELSE"
    r"|END|true|lower|coalesce|issues|projects|people|members|accounts"
    r"|org_id|user_id|username|name)\b|'infinity'::date)*"
)
DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]


def sql_of(condition: ColumnElement[bool]) -> str:
    return str(condition.compile(dialect=DIALECT))


def outcome(text: str) -> ColumnElement[bool] | FilterInvalid:
    """The condition or the refusal; anything else fails the test."""
    try:
        return compile_filter(text, FIELDS, SCOPE)
    except FilterInvalid as refusal:
        return refusal


class TestAnyText:
    @given(HOSTILE | ANYTHING)
    @MANY
    def test_is_a_condition_or_refused_with_places(self, text: str) -> None:
        result = outcome(text)
        event(type(result).__name__)
        if isinstance(result, FilterInvalid):
            assert result.errors
            for violation in result.errors:
                assert violation.position is not None
                assert 0 <= violation.position <= min(len(text), MAX_LENGTH)
                assert len(violation.detail) <= 2000
        else:
            assert VOCABULARY.fullmatch(sql_of(result)), sql_of(result)

    @given(nodes(oracle.comparisons()).flatmap(texts_of))
    @TREES
    def test_that_is_well_formed_is_bound(self, text: str) -> None:
        result = outcome(text)
        assert not isinstance(result, FilterInvalid), (text, result.errors)
        assert VOCABULARY.fullmatch(sql_of(result)), sql_of(result)


class TestAnyTree:
    @given(st.data(), nodes(COMPARISONS))
    @TREES
    def test_comes_back_from_its_text(self, data: st.DataObject, tree: Node) -> None:
        text = data.draw(texts_of(tree))
        assert parse(text) == tree, text


@pytest.fixture(scope="module")
def selected(world: World) -> Callable[[str], set[int]]:
    """Runs a filter over the oracle's rows in PostgreSQL: the indices of those it selects."""
    org = world.create_org()
    ids = {"me": org.manager.id}
    for name in ("grace", "Linus"):
        ids[name] = world.import_person(org, name)
    for key in ("TLS", "OLD"):
        project = org.manager.create_project(key=key)
        ids[key] = UUID(project["id"])
    assert org.manager.delete(f"/api/projects/{ids['OLD']}").status_code == 204
    issues = [oracle.stored(row, org.id, ids, new_id()) for row in oracle.rows()]
    with world.runtime.db.transaction(org_id=org.id) as session:
        insert_rows(session, Issue, issues)
    indices = {issue["id"]: n for n, issue in enumerate(issues)}
    scope = Scope(org.id, org.manager.id, oracle.NOW)
    statement = select(Issue.id).join(Project, in_same_project()).where(Issue.org_id == org.id)

    def run(text: str) -> set[int]:
        condition = compile_filter(text, FIELDS, scope)
        with world.runtime.db.transaction(org_id=org.id) as session:
            return {indices[each] for each in session.scalars(statement.where(condition))}

    return run


class TestSelection:
    @given(data=st.data(), tree=nodes(oracle.comparisons()))
    @TREES
    def test_is_what_python_says(
        self, selected: Callable[[str], set[int]], data: st.DataObject, tree: Node
    ) -> None:
        text = data.draw(texts_of(tree))
        expected = {n for n, row in enumerate(oracle.rows()) if oracle.selects(tree, row)}
        event("some" if 0 < len(expected) < oracle.ROWS else "all or none")
        assert selected(text) == expected, text

    @given(data=st.data(), leaf=oracle.comparisons())
    @QUERIES
    def test_of_a_negation_is_the_rest(
        self, selected: Callable[[str], set[int]], data: st.DataObject, leaf: Node
    ) -> None:
        text = data.draw(texts_of(leaf))
        opposite = {"==": "!=", "=in=": "=out="}
        for one, other in opposite.items():
            if one in text:
                rest = selected(text.replace(one, other, 1))
                assert selected(text) | rest == set(range(oracle.ROWS))
                assert not selected(text) & rest

    @given(HOSTILE)
    @QUERIES
    def test_of_hostile_text_is_a_set_or_a_refusal(
        self, selected: Callable[[str], set[int]], text: str
    ) -> None:
        try:
            assert selected(text) <= set(range(oracle.ROWS))
        except FilterInvalid:
            event("refused")
