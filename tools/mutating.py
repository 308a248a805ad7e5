"""The mutants of a Python source: each is the source with one check taken out or turned round."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE,
    ast.LtE: ast.Gt, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPPOSITE_CALL = {"is_": "is_not", "is_not": "is_"}
CHECKS = ("require", "_require", "check", "authorise", "enter_tenant", "apply_tenant")

Change = tuple[ast.expr | ast.stmt, str]


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, what stood there and what stands there now, and the whole source."""

    path: str
    line: int
    place: str
    """Class and function, by name."""
    before: str
    after: str
    source: str
    number: int = 1
    """Of those that are otherwise called alike."""

    @property
    def key(self) -> str:
        """Its name, the same wherever the lines move to."""
        name = f"{self.path} {self.place}: {self.before} -> {self.after}"
        return name if self.number == 1 else f"{name} (no. {self.number})"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """All mutants of a source, in its order."""
    tree = ast.parse(source)
    places = _places(tree)
    found: dict[str, Mutant] = {}
    for node in ast.walk(tree):
        for target, text in _changes(node):
            before = ast.unparse(target)
            mutant = Mutant(
                path,
                target.lineno,
                places.get(target.lineno, "module"),
                _short(before),
                _short(text),
                _replaced(source, target, text),
            )
            found.setdefault(f"{mutant.line} {mutant.key}", mutant)
    return _numbered(sorted(found.values(), key=lambda mutant: mutant.line))


def _numbered(mutants: list[Mutant]) -> list[Mutant]:
    seen: Counter[str] = Counter()
    numbered = []
    for mutant in mutants:
        seen[mutant.key] += 1
        numbered.append(replace(mutant, number=seen[mutant.key]))
    return numbered


def _short(text: str) -> str:
    return " ".join(text.split())[:160]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def place_of_functions(tree: ast.AST) -> Iterator[tuple[str, Function]]:
    """All functions with their names, such as ``Class.function``."""
    for name, node in _named(tree):
        if isinstance(node, Function):
            yield name, node


def _named(tree: ast.AST, outer: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Functions and classes with their names, the outer before the inner."""
    for child in ast.iter_child_nodes(tree):
        name = outer
        if isinstance(child, Function | ast.ClassDef):
            name = f"{outer}.{child.name}" if outer else child.name
            yield name, child
        yield from _named(child, name)


def _places(tree: ast.Module) -> dict[int, str]:
    """The innermost function or class of each line."""
    places: dict[int, str] = {}
    for name, node in _named(tree):
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        places.update(dict.fromkeys(lines, name))
    return places


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.If) and any(isinstance(s, ast.Raise | ast.Return) for s in node.body):
        yield node.test, "False"
    if isinstance(node, ast.Raise):
        yield node, "pass"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield node, _negated(node)
    if isinstance(node, ast.BoolOp):
        yield from _without_each(node)
    if isinstance(node, ast.Call):
        yield from _changed_calls(node)
    if isinstance(node, ast.Expr) and _called(node.value).startswith(CHECKS):
        yield node, "pass"
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield from _shorter_conditions(node.value)


def _negated(node: ast.Compare) -> str:
    opposite = OPPOSITE[type(node.ops[0])]()
    return f"({ast.unparse(ast.Compare(node.left, [opposite], node.comparators))})"


def _without_each(node: ast.BoolOp) -> Iterator[Change]:
    for number in range(len(node.values)):
        rest = node.values[:number] + node.values[number + 1 :]
        text = ast.unparse(rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))
        yield node, f"({text})"


def _changed_calls(node: ast.Call) -> Iterator[Change]:
    """Conditions of a query removed or turned round, locks not taken."""
    name = _called(node)
    function = node.func
    if name in ("where", "and_"):
        for number in range(len(node.args)):
            rest = node.args[:number] + node.args[number + 1 :]
            yield node, ast.unparse(ast.Call(function, rest, node.keywords))
    if isinstance(function, ast.Attribute) and name == "with_for_update":
        yield node, ast.unparse(function.value)
    if isinstance(function, ast.Attribute) and name in OPPOSITE_CALL:
        turned = ast.Attribute(function.value, OPPOSITE_CALL[name])
        yield node, ast.unparse(ast.Call(turned, node.args, node.keywords))


def _shorter_conditions(node: ast.Tuple) -> Iterator[Change]:
    """``return (Row.a == b, Row.c.is_(None))``: each condition removed."""
    if all(isinstance(element, ast.Compare | ast.Call) for element in node.elts):
        for number in range(len(node.elts)):
            rest = node.elts[:number] + node.elts[number + 1 :]
            yield node, ast.unparse(ast.Tuple(rest, ast.Load()))


def _called(node: ast.AST) -> str:
    """The last name of what a call calls."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _replaced(source: str, node: ast.expr | ast.stmt, text: str) -> str:
    lines = source.encode().splitlines(keepends=True)
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    head = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    tail = lines[end_line - 1][end_column:] + b"".join(lines[end_line:])
    changed = (head + text.encode() + tail).decode()
    ast.parse(changed)
    return changed
