"""The options of a call, or of a settings module, as those of a corsPolicy.

A value that is not written out is a problem; one of an option without effect is not looked at.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.patterns import any_case, is_whole
from meshcors.config._foreign.python_literals import NotLiteralError, Pattern, literal
from meshcors.config._foreign.said import ForeignOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcors.config._foreign.python_file import PythonFile
    from meshcors.config._foreign.said import Field, Reading

_INSTEAD: Final[dict[Field, str]] = {
    "allowOrigins": 'write the origins here, such as ["https://ui.example"]',
    "allowMethods": 'write the methods here, such as ["PUT"]',
    "allowHeaders": 'write the names here, such as ["x-version"]',
    "exposeHeaders": 'write the names here, such as ["x-request-id"]',
    "allowCredentials": "write True or False here",
    "maxAge": "write the seconds here, such as 600",
    "allowPrivateNetwork": "write True or False here",
}
LISTS: Final = frozenset({"allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"})


class Options:
    """Collects the options of one policy from a Python file."""

    def __init__(self, reading: Reading, file: PythonFile) -> None:
        self._reading = reading
        self._file = file
        self.found: dict[Field, ForeignOption] = {}

    def value(self, keyword: str, node: ast.expr, instead: str) -> object:
        """Return a value that is written out; None, and a problem, for any other."""
        try:
            return literal(self._file, node)
        except NotLiteralError as error:
            there = "" if error.line == node.lineno else f" (line {error.line})"
            reason = f"not written out: {error.reason}{there}"
            self._reading.refuse(self._file.place(node), keyword, reason, instead)
            return None

    def refuse(self, keyword: str, node: ast.AST, message: str, hint: str) -> None:
        """Add a problem at a node."""
        self._reading.refuse(self._file.place(node), keyword, message, hint)

    def note(self, node: ast.AST, text: str) -> None:
        """Add a note about a node."""
        place = self._file.place(node)
        self._reading.note(f"{place}: {text}")

    def add(self, name: Field, keyword: str, node: ast.expr) -> None:
        """Read the option `name` that `keyword` sets."""
        value = self.value(keyword, node, _INSTEAD[name])
        if value is not None:
            self.put(name, value, keyword, node)

    def whole_origins(self, name: Field, keyword: str, node: ast.expr, instead: str) -> None:
        """Read origins of which a ``*`` is no pattern; `instead` is what people mean by it."""
        self.add(name, keyword, node)
        option = self.found.get(name)
        items = option.value if option is not None else ()
        for each in items if isinstance(items, list) else ():
            if isinstance(each, str) and "*" in each:
                hint = f"leave it out, or write {instead}"
                self.refuse(keyword, node, f"{each} never matches", hint)

    def put(
        self, name: Field, value: object, keyword: str, node: ast.AST, *, given: bool = True
    ) -> None:
        """Set the option `name` to a value; a list is added to what is there."""
        kept = list(value) if isinstance(value, tuple) else value
        before = self.found.get(name)
        if name in LISTS and before is not None and isinstance(before.value, list):
            kept = [*before.value, *(kept if isinstance(kept, list) else [kept])]
            # One for each keyword, not one for each item that it adds.
            before = before.before if before.keyword == keyword else before
        else:
            before = None
        self.found[name] = ForeignOption(kept, keyword, self._file.place(node), given, before)

    def default(self, name: Field, value: object, keyword: str, node: ast.AST) -> None:
        """Set the option `name` to a system's default if the file does not set it."""
        if name not in self.found:
            self.put(name, value, keyword, node, given=False)

    def regexes(self, keyword: str, node: ast.expr, *, at_start: bool) -> None:
        """Add regular expressions to the origins.

        With `at_start` the system matches the beginning of an origin only.
        """
        given = self.value(keyword, node, 'write them here, such as r"https://pr-\\d+\\.example"')
        if given is None:
            return
        for each in given if isinstance(given, tuple) else (given,):
            text = any_case(each.text) if isinstance(each, Pattern) and each.folds else each
            text = text.text if isinstance(text, Pattern) else text
            if not isinstance(text, str):
                self.refuse(keyword, node, "not a regular expression", "write a string")
                continue
            if at_start and not is_whole(text, at_start=True):
                self.note(
                    node,
                    f"{keyword}: {text} matches the beginning of an origin only, so it lets in"
                    " longer ones, too; the policy's matches the whole origin",
                )
            self.put("allowOrigins", ({"regex": text},), keyword, node)


def keywords_of(
    options: Options, call: ast.Call, names: tuple[str, ...] = (), skip: int = 0
) -> dict[str, ast.expr]:
    """Return the arguments of a call by keyword; those without one are called `names` in order.

    The first `skip` of these are left out. What hides keywords is a problem.
    """
    found: dict[str, ast.expr] = {}
    for name, node in zip(names, call.args[skip:], strict=False):
        if isinstance(node, ast.Starred):
            options.refuse("*", node, "it hides the arguments", "write them one by one")
            break
        found[name] = node
    for each in call.keywords:
        if each.arg is None:
            hidden = "it hides the keywords"
            options.refuse("**", each.value, hidden, "write them one by one")
        else:
            found[each.arg] = each.value
    return found


def read_keywords(
    options: Options,
    given: Mapping[str, ast.expr],
    fields: Mapping[str, Field],
    others: Mapping[str, Callable[[str, ast.expr], None]],
    no_effect: frozenset[str] = frozenset(),
) -> None:
    """Read keywords: `fields` are options, `others` have a reader, the rest is a problem."""
    for keyword, node in given.items():
        if keyword in fields:
            options.add(fields[keyword], keyword, node)
        elif keyword in others:
            others[keyword](keyword, node)
        elif keyword not in no_effect:
            options.refuse(keyword, node, "unknown", "leave it out")
