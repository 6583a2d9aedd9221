"""A Python file as a syntax tree, with what its names are bound to; it is never run."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshcors._policy.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where the body may run once, never, or often.
_DECIDES: Final = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match,
    ast.IfExp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Methods that change the list or the mapping that they belong to.
_CHANGES: Final = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "update", "add", "discard", "sort"}
    | {"setdefault", "reverse", "popitem"}
)

# What gives an app, or a middleware, a path or a host of its own.
_MOUNTS: Final = frozenset({"mount", "Mount", "Route", "WebSocketRoute", "Host", "host"})


class NotPythonError(Exception):
    """A text is not Python, or too deep to be read: `line` says where, if that is known."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(slots=True)
class PythonFile:
    """The tree of a file, and what its names stand for.

    `bindings` are all places that bind a name, `values` what it is set to, `changed` the line that
    changes a list in place, `configured` what sets or changes ``app.config["NAME"]``, and
    `configured_elsewhere` the line that takes all of ``app.config`` from elsewhere. `decided` has
    the line of the if, the loop and so on that decides whether a node's code runs, by the node's
    id. `stars` are the lines that import ``*``. `mounted` are the ids of the nodes, and
    `mounted_names` the names, that an app has below one of its paths only. `values_read` counts the
    steps of `literal`.
    """

    name: str
    tree: ast.Module
    nodes: list[ast.AST] = field(default_factory=list[ast.AST])
    imports: dict[str, str] = field(default_factory=dict[str, str])
    bindings: dict[str, list[ast.AST]] = field(default_factory=dict[str, list[ast.AST]])
    values: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    changed: dict[str, int] = field(default_factory=dict[str, int])
    decided: dict[int, int] = field(default_factory=dict[int, int])
    configured: dict[str, list[ast.AST]] = field(default_factory=dict[str, list[ast.AST]])
    configured_elsewhere: int = 0
    stars: list[int] = field(default_factory=list[int])
    mounted: set[int] = field(default_factory=set[int])
    mounted_names: set[str] = field(default_factory=set[str])
    values_read: int = 0

    @staticmethod
    def parse(text: str, name: str) -> PythonFile:
        """Read the text of a file; raises `NotPythonError`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text.removeprefix("\ufeff"))
        except SyntaxError as error:
            raise NotPythonError(f"not Python: {error.msg}", error.lineno or 1) from None
        except ValueError as error:
            raise NotPythonError(f"not Python: {error}", 1) from None
        except (RecursionError, MemoryError):
            raise NotPythonError("nested too deeply", 1) from None
        file = PythonFile(name, tree)
        for node, decided, is_mounted in _walk(tree):
            file.nodes.append(node)
            if decided:
                file.decided[id(node)] = decided
            if is_mounted:
                file.mounted.add(id(node))
            if is_mounted and isinstance(node, ast.Name):
                file.mounted_names.add(node.id)
            for bound in _bound_names(node):
                file.bindings.setdefault(bound, []).append(node)
            file._note(node)
        return file

    def place(self, node: ast.AST) -> Place:
        """Return where a node begins."""
        return Place(self.name, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1)

    def qualified(self, node: ast.expr) -> str:
        """Return the dotted name of an expression, from where it was imported; "" for others."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        first = self.imports.get(node.id) or node.id
        return ".".join([first, *reversed(parts)])

    def assigned(self, name: str) -> ast.expr | None:
        """Return the only expression that `name` is bound to; None if there is no such."""
        return self.values.get(name) if len(self.bindings.get(name, [])) == 1 else None

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Import(names=names):
                for each in names:
                    whole = each.name if each.asname else each.name.partition(".")[0]
                    self.imports[each.asname or whole] = whole
            case ast.ImportFrom(names=names, module=module):
                for each in names:
                    self.imports[each.asname or each.name] = f"{module or ''}.{each.name}"
                if names[0].name == "*":
                    self.stars.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="config"), attr=attr)) if (
                attr == "update" or attr.startswith("from_")
            ):
                self.configured_elsewhere = self.configured_elsewhere or node.lineno
            case ast.Attribute(
                value=ast.Subscript(
                    value=ast.Attribute(attr="config"), slice=ast.Constant(value=str(name))
                ),
                attr=attr,
            ) if attr in _CHANGES:
                self.configured.setdefault(name, []).append(node)
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in _CHANGES:
                self.changed.setdefault(name, node.lineno)
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                self.changed.setdefault(name, node.lineno)
            case (
                ast.Assign(
                    targets=[
                        ast.Subscript(
                            value=ast.Attribute(attr="config"), slice=ast.Constant(value=str(name))
                        )
                    ]
                )
                | ast.AugAssign(
                    target=ast.Subscript(
                        value=ast.Attribute(attr="config"), slice=ast.Constant(value=str(name))
                    )
                )
            ):
                self.configured.setdefault(name, []).append(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.values[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self.values[name] = value
            case _:
                pass


def _bound_names(node: ast.AST) -> list[str]:
    """Return the names that a node binds or deletes."""
    match node:
        case ast.Import(names=names):
            return [each.asname or each.name.partition(".")[0] for each in names]
        case ast.ImportFrom(names=names):
            return [each.asname or each.name for each in names]
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            return [name]
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
        case _:
            return []


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, int, bool]]:
    """Yield all nodes in the order of the text, with the line that decides whether each runs.

    The third item tells whether it is mounted. A tree may be deeper than Python's stack.
    """
    stack: list[tuple[ast.AST, int, bool]] = [(tree, 0, False)]
    while stack:
        node, decided, is_mounted = stack.pop()
        yield node, decided, is_mounted
        inner = getattr(node, "lineno", 1) if isinstance(node, _DECIDES) else decided
        if isinstance(node, _SCOPES):
            inner = 0
        is_mounted = is_mounted or _mounts(node)
        children = reversed(list(ast.iter_child_nodes(node)))
        stack += [(child, inner, is_mounted) for child in children]


def _mounts(node: ast.AST) -> bool:
    """Tell whether a call gives an app a path of its own, or a host."""
    match node:
        case ast.Call(args=[ast.Constant(value="" | "/"), *_]):
            return False
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name in _MOUNTS
        case _:
            return False
