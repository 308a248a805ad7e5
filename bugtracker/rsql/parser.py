"""From the text of a filter to its syntax tree, by a LALR grammar: linear, and without recursion
before the nesting is bounded.
"""

import re

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from bugtracker.errors import Violation
from bugtracker.messages import Message, _, one_of
from bugtracker.rsql.tree import And, Comparison, Node, Or, Value
from bugtracker.rsql.wording import found, invalid, violation

MAX_LENGTH = 2000
MAX_DEPTH = 5
MAX_COMPARISONS = 20
MAX_VALUES = 100

# FIELD and BARE look alike: which one it is, the lexer knows from what may stand there. The same
# goes for AND and OR, so that title==and compares with a word.
GRAMMAR = r"""
?start: or
?or: and ((COMMA | OR) and)*
?and: primary ((SEMICOLON | AND) primary)*
?primary: comparison | group
group: LPAR or RPAR
comparison: FIELD OPERATOR (value | LPAR value (COMMA value)* RPAR)
?value: BARE | SINGLE | DOUBLE

AND.2: /and(?![^\s"'();,=!<>~])/i
OR.2: /or(?![^\s"'();,=!<>~])/i
LPAR: "("
RPAR: ")"
COMMA: ","
SEMICOLON: ";"
OPERATOR: /==|!=|<=?|>=?|=[A-Za-z_-]+=|=/
FIELD: /[^\s"'();,=!<>~\x00-\x1f\x7f-\x9f\ud800-\udfff]+/
BARE: /[^\s"'();,=!<>~\x00-\x1f\x7f-\x9f\ud800-\udfff]+/
SINGLE: /'(?:[^'\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|\\[^\x00-\x1f\x7f-\x9f\ud800-\udfff])*'/
DOUBLE: /"(?:[^"\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|\\[^\x00-\x1f\x7f-\x9f\ud800-\udfff])*"/
%ignore /\s+/
"""

WORDS = {
    "FIELD": _("a field"),
    "OPERATOR": _("an operator such as `==` or `=in=`"),
    "BARE": _("a value"),
    "SINGLE": _("a value"),
    "DOUBLE": _("a value"),
    "LPAR": "`(`",
    "RPAR": "`)`",
    "SEMICOLON": "`;`",
    "AND": "`and`",
    "COMMA": "`,`",
    "OR": "`or`",
    "$END": _("the end"),
}
ALIASES = {"=lt=": "<", "=le=": "<=", "=gt=": ">", "=ge=": ">="}
ESCAPE = re.compile(r"\\(.)|(\*)", re.DOTALL)

PARSER = Lark(GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


def parse(text: str) -> Node:
    """The syntax tree. FilterInvalid with the place where the text stops being a filter, or goes
    beyond the limits.
    """
    if len(text) > MAX_LENGTH:
        raise invalid(
            [violation("maxLength", MAX_LENGTH, _("has over {limit} characters", limit=MAX_LENGTH))]
        )
    try:
        tree = PARSER.parse(text)
    except UnexpectedInput as error:
        raise invalid([_syntax(text, error)]) from None
    return _Builder().node(tree, 0)


class _Builder:
    """Makes our tree of Lark's; counts what is limited, from left to right."""

    def __init__(self) -> None:
        self._comparisons = 0

    def node(self, tree: Tree[Token], depth: int) -> Node:
        if tree.data == "comparison":
            return self._comparison(_tokens(tree))
        if tree.data == "group":
            opening, inner, _closing = tree.children
            return self._group(opening, inner, depth + 1)
        parts = tuple(self.node(part, depth) for part in tree.children if isinstance(part, Tree))
        return And(parts) if tree.data == "and" else Or(parts)

    def _group(self, opening: Token | Tree[Token], inner: Token | Tree[Token], depth: int) -> Node:
        assert isinstance(opening, Token)
        assert isinstance(inner, Tree)
        if depth > MAX_DEPTH:
            _refuse(
                "depth", opening, _("groups can be nested {limit} deep at most", limit=MAX_DEPTH)
            )
        return self.node(inner, depth)

    def _comparison(self, tokens: list[Token]) -> Comparison:
        name, operator, *rest = tokens
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            detail = _("a filter has at most {limit} comparisons", limit=MAX_COMPARISONS)
            _refuse("comparisons", name, detail)
        values = tuple(_value(token) for token in rest if token.type in READERS)
        if len(values) > MAX_VALUES:
            _refuse("values", operator, _("a list has at most {limit} values", limit=MAX_VALUES))
        return Comparison(
            name=str(name),
            operator=ALIASES.get(operator.lower(), operator.lower()),
            values=values,
            position=_start(name),
            operator_position=_start(operator),
        )


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [child for child in tree.children if isinstance(child, Token)]


def _start(token: Token) -> int:
    return token.start_pos or 0


def _refuse(code: str, token: Token, detail: Message) -> None:
    raise invalid([violation(code, _start(token), detail)])


def _value(token: Token) -> Value:
    return READERS[token.type](token)


def _bare(token: Token) -> Value:
    stars = tuple(match.start() for match in re.finditer(r"\*", token))
    return Value(str(token), stars=stars, position=_start(token))


def _quoted(token: Token) -> Value:
    """A backslash takes the next character as it is, a star or a quote for example."""
    pieces: list[str] = []
    stars: list[int] = []
    inner, end, length = token[1:-1], 0, 0
    for match in ESCAPE.finditer(inner):
        pieces += [inner[end : match.start()], match[1] or "*"]
        length += match.start() - end + 1
        if match[2]:
            stars.append(length - 1)
        end = match.end()
    return Value("".join([*pieces, inner[end:]]), True, tuple(stars), _start(token))


READERS = {"BARE": _bare, "SINGLE": _quoted, "DOUBLE": _quoted}


def _syntax(text: str, error: UnexpectedInput) -> Violation:
    position = len(text) if _at_end(error) else error.pos_in_stream or 0
    token = error.token if isinstance(error, UnexpectedToken) else text[position]
    if token in ("'", '"'):
        return violation("syntax", position, _("the quote {quote} is not closed", quote=token))
    what = found(token) if position < len(text) else _("the end")
    expected = _expected(text[:position])
    detail = _("found {what}, expected {expected}", what=what, expected=expected)
    return violation("syntax", position, detail)


def _at_end(error: UnexpectedInput) -> bool:
    return isinstance(error, UnexpectedToken) and error.token.type == "$END"


def _expected(before: str) -> Message:
    """What may stand behind this text. Read again: a LALR parser has forgotten it when it fails."""
    parser = PARSER.parse_interactive(before)
    parser.exhaust_lexer()
    accepted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    words = dict.fromkeys(word for name, word in WORDS.items() if name in accepted)
    return one_of(list(words))
