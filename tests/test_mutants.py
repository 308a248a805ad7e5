"""The script that takes checks out: what it takes out, and that it knows whom to ask."""

import textwrap
from typing import Any

import pytest

from tools.mutant_tests import TESTS
from tools.mutants import ROOT, chosen, explained
from tools.mutating import mutants_of
from tools.trying import REACHED, NotSwappable, swap_between, swapped, watching


def changes(source: str) -> set[tuple[str, str]]:
    """Before and after of each mutant of a function's body."""
    whole = "def f():\n" + textwrap.indent(source, "    ")
    return {(mutant.before, mutant.after) for mutant in mutants_of("f.py", whole)}


class TestMutants:
    @pytest.mark.parametrize(
        ("source", "before", "after"),
        [
            ("if bad:\n    raise Refused()", "bad", "False"),
            ("if bad:\n    return None", "bad", "False"),
            ("raise Refused()", "raise Refused()", "pass"),
            ("ok = a < b", "a < b", "(a >= b)"),
            ("ok = a is not None", "a is not None", "(a is None)"),
            ("ok = a and b and c", "a and b and c", "(a and c)"),
            ("ok = a or b", "a or b", "(b)"),
            ("q.where(A.x == y, A.z)", "q.where(A.x == y, A.z)", "q.where(A.z)"),
            ("q.where(A.x.is_(None))", "A.x.is_(None)", "A.x.is_not(None)"),
            ("q.with_for_update(read=True)", "q.with_for_update(read=True)", "q"),
            ("require_strong(p)", "require_strong(p)", "pass"),
            ("return (A.x == y, A.z.is_(None))", "(A.x == y, A.z.is_(None))", "(A.x == y,)"),
        ],
    )
    def test_take_out_or_turn_round(self, source: str, before: str, after: str) -> None:
        assert (before, after) in changes(source)

    def test_leave_alone_what_checks_nothing(self) -> None:
        assert changes("x = g(1)\nif x:\n    h(x)\nreturn x") == set()

    def test_change_one_place_and_no_other_line(self) -> None:
        source = (
            "def f(ä, b):\n    if ä == b:  # ä\n        raise E(\n            'ö')\n    return 1\n"
        )
        by_after = {mutant.after: mutant.source for mutant in mutants_of("f.py", source)}
        assert by_after["(ä != b)"] == source.replace("ä == b", "(ä != b)")
        assert by_after["False"] == source.replace("ä == b", "False")
        assert by_after["pass"] == source.replace("raise E(\n            'ö')", "pass")

    def test_are_called_by_their_place(self) -> None:
        source = "class A:\n    def f(self):\n        raise E\n"
        (mutant,) = mutants_of("m.py", source)
        assert mutant.key == "m.py A.f: raise E -> pass"

    def test_alike_are_told_apart_by_a_number(self) -> None:
        source = "def f():\n    if a:\n        return\n    if a:\n        return\n"
        keys = [mutant.key for mutant in mutants_of("m.py", source)]
        assert keys == ["m.py f: a -> False", "m.py f: a -> False (no. 2)"]


class TestSwapping:
    """A mutant in a living module, here a made-up one."""

    SOURCE = "class A:\n    def f(self, a):\n        'Doc.'\n        return a == 1\n"

    def living(self, source: str) -> dict[str, Any]:
        names: dict[str, Any] = {REACHED: set()}
        exec(compile(source, "/made/up.py", "exec"), names)
        return names

    def test_holds_within_the_block_for_all_that_lives(self) -> None:
        thing = self.living(self.SOURCE)["A"]()
        (mutant,) = mutants_of("up.py", self.SOURCE)
        with swapped("up.py", swap_between("up.py", self.SOURCE, mutant.source)):
            assert not thing.f(1)
        assert thing.f(1)

    def test_tells_which_functions_were_reached(self) -> None:
        names = self.living(self.SOURCE)
        with swapped("up.py", swap_between("up.py", self.SOURCE, watching(self.SOURCE))):
            assert names["A"]().f(1)
        assert names[REACHED] == {mutant.place for mutant in mutants_of("up.py", self.SOURCE)}

    def test_is_refused_where_code_within_code_goes(self) -> None:
        with pytest.raises(NotSwappable):
            swap_between("up.py", "x = lambda: 1\n", "x = 1\n")


class TestModules:
    def test_each_of_the_security_code_names_its_tests(self) -> None:
        assert chosen([]) == list(TESTS)
        assert chosen(["tokens"]) == ["bugtracker/security/tokens.py"]

    def test_each_explanation_is_of_a_mutant_that_there_is(self) -> None:
        there = set()
        for path in TESTS:
            there |= {mutant.key for mutant in mutants_of(path, (ROOT / path).read_text())}
        assert explained() <= there
