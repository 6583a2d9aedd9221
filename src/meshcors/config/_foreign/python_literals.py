"""The values that a Python file writes out, and never one that it computes.

A name has a value if the file binds it once, where nothing decides whether it does, and changes it
nowhere.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.config._foreign.python_file import PythonFile

_MAX_DEPTH: Final = 40
# Names may stand for lists of names, over and over.
_MOST_VALUES: Final = 500_000
_MOST_ITEMS: Final = 10_000
_LONGEST_NAME: Final = 100
_LARGEST: Final = 2**31
_LISTS: Final = frozenset({"list", "tuple", "set", "frozenset", "sorted"})
_UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_METHODS: Final = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")
_HEADERS: Final = (
    *("accept", "authorization", "content-type", "user-agent", "x-csrftoken"),
    "x-requested-with",
)
# What django-cors-headers exports for settings to build on.
_KNOWN: Final = {
    "corsheaders.defaults.default_headers": _HEADERS,
    "corsheaders.defaults.default_methods": _METHODS,
}


class NotLiteralError(Exception):
    """A value is not written out: `reason` says what stands there, `line` where."""

    def __init__(self, reason: str, node: ast.expr) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = node.lineno


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled regular expression that a file writes out; `folds` if it ignores the case."""

    text: str
    folds: bool = False


def literal(file: PythonFile, node: ast.expr, depth: int = 0) -> object:
    """Return the value that an expression writes out; a list is a tuple.

    Raises `NotLiteralError`.
    """
    file.values_read += 1
    if depth > _MAX_DEPTH or file.values_read > _MOST_VALUES:
        raise NotLiteralError("nested too deeply", node)
    depth += 1
    match node:
        case ast.Constant(value=bytes(value)):
            return value.decode("latin-1")
        case ast.Constant(value=int(value)) if value > _LARGEST:
            raise NotLiteralError("a number that is too large", node)
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.Name():
            return _name(file, node, depth)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return _items(file, items, depth)
        case ast.Dict():
            return _mapping(file, node, depth)
        case ast.BinOp():
            return _computed(file, node, depth)
        case ast.Call():
            return _called(file, node, depth)
        case _:
            raise NotLiteralError(_what(file, node), node)


def _name(file: PythonFile, node: ast.Name, depth: int) -> object:
    known = _KNOWN.get(file.imports.get(node.id, ""))
    if known is not None:
        return known
    bound = file.bindings.get(node.id, [])
    value = file.assigned(node.id)
    if value is None:
        lines = [str(getattr(each, "lineno", 1)) for each in bound]
        if len(lines) > 1:
            reason = f"{node.id}, which is set more than once: lines {', '.join(lines[:4])}"
        elif node.id in file.imports:
            reason = f"{file.imports[node.id]}, which another file sets"
        else:
            reason = f"{node.id}, whose value is not in this file"
        raise NotLiteralError(reason, node)
    if (line := file.decided.get(id(bound[0]))) is not None:
        raise NotLiteralError(f"{node.id}, which depends on line {line}", node)
    after = [line for line in file.stars if line > getattr(bound[0], "lineno", 1)]
    if after:
        reason = f"{node.id}, which the import of * in line {after[0]} may set again"
        raise NotLiteralError(reason, node)
    if (line := file.changed.get(node.id)) is not None:
        raise NotLiteralError(f"{node.id}, which line {line} changes", node)
    return literal(file, value, depth)


def _items(file: PythonFile, nodes: Sequence[ast.expr], depth: int) -> tuple[object, ...]:
    found: list[object] = []
    for each in nodes:
        if isinstance(each, ast.Starred):
            inner = literal(file, each.value, depth)
            if not isinstance(inner, tuple):
                raise NotLiteralError("a * before something else than a list", each)
            found += cast("tuple[object, ...]", inner)
        else:
            found.append(literal(file, each, depth))
        if len(found) > _MOST_ITEMS:
            raise NotLiteralError(f"a list of more than {_MOST_ITEMS} items", each)
    return tuple(found)


def _mapping(file: PythonFile, node: ast.Dict, depth: int) -> dict[object, object]:
    found: dict[object, object] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            raise NotLiteralError("a mapping with ** in it", value)
        name = literal(file, key, depth)
        if not isinstance(name, str | Pattern):
            raise NotLiteralError("a mapping whose keys are not texts", key)
        found[name] = literal(file, value, depth)
    return found


def _computed(file: PythonFile, node: ast.BinOp, depth: int) -> object:
    left, right = literal(file, node.left, depth), literal(file, node.right, depth)
    match left, node.op, right:
        case (tuple(), ast.Add(), tuple()):
            both = (*cast("tuple[object, ...]", left), *cast("tuple[object, ...]", right))
            if len(both) <= _MOST_ITEMS:
                return both
        case (str(), ast.Add(), str()) if len(left) + len(right) <= _MOST_ITEMS:
            return left + right
        case (int(), ast.Mult(), int()) if abs(left * right) < _LARGEST:
            return left * right
        case (int(), ast.Add(), int()):
            return left + right
        case _:
            pass
    raise NotLiteralError("an expression", node)


def _called(file: PythonFile, node: ast.Call, depth: int) -> object:
    name = file.qualified(node.func)
    match node:
        case ast.Call(args=[only], keywords=[]) if name in _LISTS and name not in file.bindings:
            inner = literal(file, only, depth)
            if isinstance(inner, tuple):
                return cast("tuple[object, ...]", inner)
        case ast.Call(args=[text, *flags], keywords=[]) if name == "re.compile" and not flags[1:]:
            pattern = literal(file, text, depth)
            flag = file.qualified(flags[0]) if flags else ""
            if isinstance(pattern, str) and (not flags or flag in ("re.I", "re.IGNORECASE")):
                return Pattern(pattern, bool(flags))
        case ast.Call(args=[], keywords=[*given]) if name == "datetime.timedelta":
            return sum(_seconds(file, each, depth) for each in given)
        case _:
            pass
    raise NotLiteralError(_what(file, node), node)


def _seconds(file: PythonFile, given: ast.keyword, depth: int) -> int:
    number = literal(file, given.value, depth)
    if given.arg not in _UNITS or not isinstance(number, int):
        raise NotLiteralError("a timedelta", given.value)
    return _UNITS[given.arg] * number


def _what(file: PythonFile, node: ast.expr) -> str:
    """Return what an expression is, without anything that it contains but names."""
    if name := file.qualified(node):
        return name[:_LONGEST_NAME]
    called = isinstance(node, ast.Call) and bool(file.qualified(node.func))
    inner = node
    # os.environ["X"].split(",") is shown as os.environ: a text may be a secret
    while not (name := file.qualified(inner)):
        match inner:
            case ast.Call(func=inside):
                inner = inside
            case ast.Subscript(value=inside) | ast.Attribute(value=inside):
                inner = inside
            case _:
                break
    if name and len(name) <= _LONGEST_NAME:
        return f"a call of {name}" if called else f"made of {name}"
    match node:
        case ast.IfExp():
            return "a condition"
        case ast.JoinedStr():
            return "an f-string"
        case ast.ListComp() | ast.GeneratorExp():
            return "a loop"
        case _:
            return "an expression"
