"""The mutants of a module's source, each one change of its syntax tree.

A mutant is known by its function, the text of its line and the change: an edit elsewhere in the
module leaves that as it is. Left alone are annotations, docstrings, and texts for people.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
}
# Names of functions and methods that do the opposite, or a little less or more.
CALLED: Final = {
    "all": ("any",),
    "any": ("all",),
    "max": ("min",),
    "min": ("max",),
    "startswith": ("endswith",),
    "endswith": ("startswith",),
    "removeprefix": ("removesuffix",),
    "removesuffix": ("removeprefix",),
    "partition": ("rpartition",),
    "rpartition": ("partition",),
    "split": ("rsplit",),
    "find": ("rfind",),
    "rfind": ("find",),
    "fullmatch": ("match", "search"),
    "search": ("match", "fullmatch"),
    "strip": ("lstrip", "rstrip"),
    "lower": ("upper",),
    "upper": ("lower",),
    "isdisjoint": ("issubset",),
}
# Methods whose result can be replaced by the object they are called on.
LEFT_OUT: Final = frozenset({"strip", "lower", "upper", "removeprefix", "removesuffix", "replace"})
# Names that only type checkers read.
_TYPING: Final = frozenset({"Final", "Literal", "TypeAlias", "TypeVar", "cast", "TYPE_CHECKING"})
_WORDS: Final = re.compile(r"[\w*:,] +[\w*({]")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change; `name` identifies it."""

    name: str
    line_number: int
    _tree: ast.Module
    _place: _Place
    _new: ast.AST

    def compile(self, path: str) -> CodeType:
        """Return the code of the changed module; `path` is the file that tracebacks show."""
        self._place.put(self._new)
        try:
            return compile(ast.fix_missing_locations(self._tree), path, "exec")
        finally:
            self._place.put(self._place.node)


def mutants(source: str) -> list[Mutant]:
    """Return the mutants of `source` that compile, in the order of its lines."""
    tree = ast.parse(source)
    lines = source.splitlines()
    found: list[Mutant] = []
    names: Counter[str] = Counter()
    for place in _places(tree):
        for new in _changes(place):
            ast.copy_location(new, place.node)
            line = lines[place.node.lineno - 1].strip()
            before, after = (_one_line(ast.unparse(node)) for node in (place.node, new))
            change = f"{line} => {after}" if before == line else f"{line} | {before} => {after}"
            name = f"{place.scope} | {change}".encode("ascii", "backslashreplace").decode()
            names[name] += 1
            if names[name] > 1:
                name += f" #{names[name]}"
            mutant = Mutant(name, place.node.lineno, tree, place, new)
            try:
                mutant.compile("<mutant>")
            except SyntaxError:
                continue
            found.append(mutant)
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class _Place:
    """The position of a node: in `field` of `parent`, at `index` if that is a list."""

    node: Any
    parent: ast.AST
    field: str
    index: int | None
    scope: str

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _places(parent: ast.AST, scope: str = "") -> Iterator[_Place]:
    """Yield every node that may be changed, with its position."""
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "type_params", "decorator_list", "bases"):
            continue
        several = isinstance(value, list)
        for index, node in enumerate(value if several else [value]):
            if not isinstance(node, ast.AST) or _is_left_alone(node):
                continue
            place = _Place(node, parent, field, index if several else None, scope or "module")
            yield place
            inner = scope
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{scope}.{node.name}".lstrip(".")
            yield from _places(node, inner)


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()):
            return True  # a docstring, or an ellipsis
        case ast.FunctionDef(decorator_list=[ast.Name(id="overload"), *_]):
            return True
        case ast.Assign(targets=[ast.Name(id="__slots__" | "__all__")]):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.ClassDef(bases=[ast.Name(id="TypedDict"), *_]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Call(func=ast.Name(id="TypeVar")):
            return True
        case ast.JoinedStr(values=values):
            return any(isinstance(part, ast.Constant) and " " in part.value for part in values)
        case ast.Constant(value=str() as text):
            return _WORDS.search(text) is not None
    return False


def _changes(place: _Place) -> Iterator[ast.AST]:
    """Yield the replacements of a node."""
    node = place.node
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for index, op in enumerate(ops):
                changed = [*ops[:index], COMPARISONS[type(op)](), *ops[index + 1 :]]
                yield ast.Compare(left, changed, comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for index in range(len(values)):
                rest = _without(values, index)
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value):
            yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Assign([target], value)
            yield ast.Pass()
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Nonlocal():
            return
        case ast.Assign(targets=[ast.Name()]) if place.scope != "module":
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Return(value=value) if not _is_nothing(value):
            yield ast.Return(ast.Constant(None))
        case ast.Constant(value=value):
            yield from map(ast.Constant, _other_values(value, place))
        case ast.Call():
            yield from _other_calls(node)
        case (
            ast.Tuple(elts=elements, ctx=ast.Load())
            | ast.Set(elts=elements)
            | ast.List(elts=elements, ctx=ast.Load())
        ):
            for index, element in enumerate(elements):
                if isinstance(element, ast.Starred) or place.field == "type":
                    yield _with_elements(node, _without(elements, index))
    if place.field in ("test", "ifs") and not isinstance(node, ast.Constant):
        if not isinstance(place.parent, ast.While):
            yield ast.Constant(True)
        yield ast.Constant(False)


def _without(values: list[Any], index: int) -> list[Any]:
    return [*values[:index], *values[index + 1 :]]


def _with_elements(node: Any, elements: list[Any]) -> ast.AST:
    if isinstance(node, ast.Set):
        return ast.Set(elements)
    return type(node)(elements, ast.Load())


def _is_nothing(node: ast.AST | None) -> bool:
    """Return whether a returned `node` is None or False, which callers treat the same."""
    return node is None or (isinstance(node, ast.Constant) and node.value in (None, False))


def _other_values(value: object, place: _Place) -> Iterable[Any]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1)
    if isinstance(value, bytes):
        return (b"XX" + value,)
    if not isinstance(value, str) or _is_typing(place.parent):
        return ()
    if _is_pattern(place):
        return _shorter_patterns(value)
    return ("XX" + value,)


def _is_typing(parent: ast.AST) -> bool:
    """Return whether a child of `parent` is a type: ``cast("str", x)``, ``Literal["a"]``."""
    match parent:
        case ast.Call(func=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)):
            return name in _TYPING
    return False


def _is_pattern(place: _Place) -> bool:
    match place.parent:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
            return place.field == "args"
    return False


def _shorter_patterns(pattern: str) -> Iterator[str]:
    """Yield the regular expression with one character less."""
    for index in range(len(pattern)):
        shorter = pattern[:index] + pattern[index + 1 :]
        if "{," in shorter:
            continue  # the same as {0,
        try:
            with warnings.catch_warnings(action="ignore"):
                re.compile(shorter)
        except re.error:
            continue
        if index == 0 or pattern[index - 1] != pattern[index]:
            yield shorter


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    function = node.func
    match function:
        case ast.Name(id=name):
            for other in CALLED.get(name, ()):
                yield ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
            if name == "cast":
                return
        case ast.Attribute(value=value, attr=name):
            # Without a limit both ways of splitting are the same.
            others = () if name == "split" and len(node.args) < 2 else CALLED.get(name, ())
            for other in others:
                changed = ast.Attribute(value, other, ast.Load())
                yield ast.Call(changed, node.args, node.keywords)
            if name in LEFT_OUT:
                yield value
    for index, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            yield ast.Call(function, _without(node.args, index), node.keywords)
    for index in range(len(node.keywords)):
        yield ast.Call(function, node.args, _without(node.keywords, index))
