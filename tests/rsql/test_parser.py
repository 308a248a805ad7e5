"""The grammar, its limits, and what people read when they got it wrong."""

import sys
import time
from contextlib import suppress

import pytest

from bugtracker.errors import FilterInvalid
from bugtracker.rsql.parser import parse
from bugtracker.rsql.tree import And, Comparison, Node, Or, Value

A, B, C = (Comparison(name, "==", (Value("1"),)) for name in "abc")


def refusal(text: str) -> tuple[int | None, str, str]:
    with pytest.raises(FilterInvalid) as caught:
        parse(text)
    [violation] = caught.value.errors
    return violation.position, violation.code, violation.detail


class TestParse:
    @pytest.mark.parametrize(
        ("text", "tree"),
        [
            ("a==1", A),
            (" ( ( a == 1 ) ) ", A),
            ("a==1;b==1;c==1", And((A, B, C))),
            ("a==1,b==1;c==1", Or((A, And((B, C))))),
            ("(a==1,b==1);c==1", And((Or((A, B)), C))),
            ("(a==1;b==1);c==1", And((And((A, B)), C))),
            ("a==1 and b==1 or c==1", Or((And((A, B)), C))),
            ("a==1 AND(b==1)", And((A, B))),
            ("a=='1'or(b==\"1\")", Or((Comparison("a", "==", (Value("1", True),)),
                                       Comparison("b", "==", (Value("1", True),))))),
            ("and==or", Comparison("and", "==", (Value("or"),))),
            ("a=IN=(and,or)", Comparison("a", "=in=", (Value("and"), Value("or")))),
            ("a=ge=1", Comparison("a", ">=", (Value("1"),))),
            ("a=in=x", Comparison("a", "=in=", (Value("x"),))),
            ("a==*x**", Comparison("a", "==", (Value("*x**", stars=(0, 2, 3)),))),
            ("a=='\\*x*\\'\\\\'", Comparison("a", "==", (Value("*x*'\\", True, (2,)),))),
            ("a==x\\*", Comparison("a", "==", (Value("x\\*", stars=(2,)),))),
            ("a==\"\"", Comparison("a", "==", (Value("", True),))),
            ("a==\"(;,=)\"", Comparison("a", "==", (Value("(;,=)", True),))),
            ("a==ünïcode-🐛", Comparison("a", "==", (Value("ünïcode-🐛"),))),
        ],
    )  # fmt: skip
    def test_reads(self, text: str, tree: Node) -> None:
        assert parse(text) == tree

    def test_keeps_the_places_of_what_it_read(self) -> None:
        tree = parse('a==1;("é" ,b=in=(x,"y"))'.replace('"é" ,', "é==1,"))
        assert isinstance(tree, And)
        group = tree.parts[1]
        assert isinstance(group, Or)
        last = group.parts[1]
        assert isinstance(last, Comparison)
        places = (last.position, last.operator_position, *(each.position for each in last.values))
        assert places == (11, 12, 17, 19)


class TestSyntaxError:
    @pytest.mark.parametrize(
        ("text", "position", "detail"),
        [
            ("", 0, "found the end, expected a field or `(`"),
            ("a", 1, "found the end, expected an operator such as `==` or `=in=`"),
            ("a==", 3, "found the end, expected a value or `(`"),
            ("a==1;", 5, "found the end, expected a field or `(`"),
            ("a==1 and", 8, "found the end, expected a field or `(`"),
            ("a==1 b==1", 5, "found `b`, expected `;`, `and`, `,`, `or` or the end"),
            ("a==1 and)", 8, "found `)`, expected a field or `(`"),
            ("(a==1", 5, "found the end, expected `)`, `;`, `and`, `,` or `or`"),
            ("a==1)", 4, "found `)`, expected `;`, `and`, `,`, `or` or the end"),
            ("a=in=()", 6, "found `)`, expected a value"),
            ("a=in=(1;2)", 7, "found `;`, expected `)` or `,`"),
            ("a==1,,b==1", 5, "found `,`, expected a field or `(`"),
            ("a~1", 1, "found `~`, expected an operator such as `==` or `=in=`"),
            ("a=='x", 3, "the quote ' is not closed"),
            ('a=="x\\"', 3, 'the quote " is not closed'),
            ("'a'==1", 0, "found `'a'`, expected a field or `(`"),
            ("a==x\x00", 4, "found `\\x00`, expected `;`, `and`, `,`, `or` or the end"),
            ("a==\ud800", 3, "found `\\ud800`, expected a value or `(`"),
            ("a==1 " + "x" * 60, 5,
             f"found `{'x' * 40}…`, expected `;`, `and`, `,`, `or` or the end"),
        ],
    )  # fmt: skip
    def test_says_what_was_found_and_what_could_stand_there(
        self, text: str, position: int, detail: str
    ) -> None:
        assert refusal(text) == (position, "syntax", detail)


def nested(depth: int) -> str:
    return "(" * depth + "a==1" + ")" * depth


def listed(count: int) -> str:
    return f"a=in=({','.join('1' * count)})"


class TestLimits:
    @pytest.mark.parametrize(
        ("most", "beyond", "position", "code"),
        [
            (nested(5), nested(6), 5, "depth"),
            (";".join(["a==1"] * 20), ";".join(["a==1"] * 21), 100, "comparisons"),
            (listed(100), listed(101), 1, "values"),
            ("a==" + "x" * 1997, "a==" + "x" * 1998, 2000, "maxLength"),
        ],
    )
    def test_are_refused_one_beyond(self, most: str, beyond: str, position: int, code: str) -> None:
        parse(most)
        assert refusal(beyond)[:2] == (position, code)

    @pytest.mark.parametrize(
        "text",
        [nested(10_000), "(" * 2000, nested(998), ")" * 2000, "a==1;" * 10_000, listed(100_000),
         "a=in=(" + "," * 1900, "'" * 1999, '"' + "\\" * 1998, "a=='" + "\\'" * 900, "=" * 2000,
         "*" * 2000, "and " * 500, "a" * 2000, " " * 2000, "=a" * 1000],
        ids=lambda text: text[:12],
    )  # fmt: skip
    def test_hold_whatever_it_costs_little(self, text: str) -> None:
        assert seconds(text) < 0.1
        refusal(text)

    def test_a_filter_of_twice_the_length_takes_about_twice_as_long(self) -> None:
        short, long = (f"a=in=({','.join(['xxxxxxxxx'] * n)})" for n in (48, 96))
        assert seconds(long) < 4 * seconds(short)


def seconds(text: str) -> float:
    """Processor time of reading it, the best of five, without coverage's tracing."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        return min(_measured(text) for _ in range(5))
    finally:
        sys.settrace(trace)


def _measured(text: str) -> float:
    start = time.thread_time()
    with suppress(FilterInvalid):
        parse(text)
    return time.thread_time() - start
