"""Small changes of a source file that a test should notice: where they are and what they say."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMPARED: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
}
# Calls that leave a value of the same kind when only their argument, or their object, is left.
_REMOVED = re.compile(
    "abs|ceil|clamp_?|clip|cumsum|expm?1?|flip|floor|hypot|log(1p)?|max(imum)?|min(imum)?|"
    "nan_to_num|reversed|round|sort(ed)?|sqrt|square|tanh"
)
# Calls whose arguments may change places, or whose change ends in an error at once.
_KEPT = {"max", "min", "maximum", "minimum", "hypot", "isinstance", "issubclass", "getattr"}
_DEFAULTS = {"float": "0.0", "int": "0", "bool": "False", "str": "''"}


class Mutant(NamedTuple):
    """One change: bytes from `start` to `end` of `path` become `text`.

    Attributes
    ----------
    path : str
        Below the package.
    place : str
        Qualified name of the function it lies in, or of the class; empty for the module.
    """

    path: str
    place: str
    line: int
    operator: str
    start: int
    end: int
    text: str

    @property
    def key(self) -> str:
        """What names it as long as the file stays the same."""
        return f"{self.path}:{self.line}:{self.start}:{self.operator}:{self.text}"

    def applied(self, source: bytes) -> bytes:
        """Return the changed source, in which all other lines keep their number."""
        text, lines = self.text.encode(), source[self.start : self.end].count(b"\n")
        inside = len(text) - text.endswith(b")")
        text = text[:inside] + b"\n" * lines + text[inside:]
        return source[: self.start] + text + source[self.end :]


def mutants_of(package: Path, path: str) -> list[Mutant]:
    """Return the changes of a file in its order; not all of them are still Python."""
    source = (package / path).read_bytes()
    sites = _Sites(path, source)
    sites.visit(ast.parse(source))
    return sites.found


def is_python(source: bytes) -> bool:
    """Tell whether a source can be compiled."""
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


class _Sites(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.found: list[Mutant] = []
        self._scope: list[str] = []
        self._returns: list[str] = []
        lines = source.splitlines(keepends=True)
        self._starts = [sum(map(len, lines[:count])) for count in range(len(lines) + 1)]

    def _add(self, operator: str, node: ast.expr | ast.stmt, new: ast.AST | str) -> None:
        text = new if isinstance(new, str) else f"({ast.unparse(new)})"
        assert node.end_lineno is not None and node.end_col_offset is not None
        place = ".".join(self._scope).removesuffix(".<locals>")
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[node.end_lineno - 1] + node.end_col_offset
        self.found.append(Mutant(self.path, place, node.lineno, operator, start, end, text))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._each(node.args.defaults + [one for one in node.args.kw_defaults if one])
        self._scope += [node.name, "<locals>"]
        self._returns.append(ast.unparse(node.returns) if node.returns else "")
        self._each(node.body)
        self._returns.pop()
        del self._scope[-2:]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        self._each(node.body)
        self._scope.pop()

    def _each(self, nodes: list[ast.expr] | list[ast.stmt] | list[ast.expr | ast.stmt]) -> None:
        for node in nodes:
            self.visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave what is said as it is."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave what is said as it is."""

    def visit_Expr(self, node: ast.Expr) -> None:
        # What is written to logs is for people.
        if isinstance(node.value, ast.Call) and "log" not in ast.unparse(node.value.func):
            self._add("statement dropped", node, "pass")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        self._add("condition negated", test, ast.UnaryOp(ast.Not(), test))

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        name = {ast.Not: "not dropped", ast.USub: "sign dropped"}.get(type(node.op))
        if name:
            self._add(name, node, node.operand)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._add("and with or", node, ast.BoolOp(other, node.values))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            for other in _COMPARED[type(node.ops[0])]:
                self._add("comparison", node, ast.Compare(node.left, [other()], node.comparators))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not any(_is_text(side) for side in (node.left, node.right)):
            if type(node.op) in _COMPUTED:
                new = ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)
                self._add("arithmetic", node, new)
            one = isinstance(node.left, ast.Constant) and node.left.value == 1
            if isinstance(node.op, ast.Sub) and one:
                self._add("tail swapped", node, node.right)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if type(node.value) is int:
            self._add("constant", node, str(node.value + 1))
        elif type(node.value) is float:
            inside = 0 < node.value < 1 and node.value != 0.5
            new = round(1 - node.value, 12) if inside else node.value + 1
            self._add("tail swapped" if inside else "constant", node, repr(new))
        elif type(node.value) is bool:
            self._add("constant", node, repr(not node.value))

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and ast.unparse(node.value) != "None":
            default = _DEFAULTS.get(self._returns[-1], "None")
            if ast.unparse(node.value) not in ("''", default):
                self._add("default returned", node, f"return {default}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        for new in _without(node):
            self._add("call removed", node, new)
        known = (ast.Name, ast.Attribute, ast.Subscript)
        plain = [isinstance(one, known) for one in node.args[:2]]
        if plain == [True, True] and _name(node) not in _KEPT:
            other = copy.copy(node)
            other.args = [node.args[1], node.args[0], *node.args[2:]]
            self._add("arguments swapped", node, other)
        self.generic_visit(node)


def _is_text(node: ast.expr) -> bool:
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, (ast.JoinedStr, ast.List, ast.Tuple))


def _name(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _without(node: ast.Call) -> Iterator[ast.expr]:
    """Yield what stands in place of a call that is left out."""
    if not _REMOVED.fullmatch(_name(node)):
        return
    function = node.func
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else "np"
    if isinstance(function, ast.Attribute) and owner not in ("np", "math", "torch"):
        yield function.value
    elif node.args and not (_name(node) in ("max", "min") and len(node.args) < 2):
        yield node.args[0]
