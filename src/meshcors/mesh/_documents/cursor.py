"""Typed reading of YAML nodes: problems are collected with their place, and not raised.

A `Cursor` is one node. Reading a value of the wrong type adds a problem to the report and returns
an empty value, so that a reader goes on and finds the next problem as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.place import Place
from meshcors._policy.wording import did_you_mean
from meshcors.mesh._documents.problems import DocumentProblem
from meshcors.mesh._documents.yaml_nodes import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH: Final = 64

_NO_LINE: Final = re.compile(r"[\x00\r\n]")
_TAGS: Final = "tag:yaml.org,2002:"
_NULL: Final = re.compile(r"~|null|Null|NULL|")
# YAML 1.1's booleans, as Kubernetes reads them.
_TRUE: Final = re.compile(r"y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE")
_FALSE: Final = re.compile(r"n|N|no|No|NO|off|Off|OFF|false|False|FALSE")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_UNIT_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DURATION_PART: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(h|ms|us|ns|m|s)")


@dataclass(slots=True)
class Report:
    """The problems found in one object of a file so far.

    ``number`` counts the objects of the file from 0.
    """

    file: str
    number: int = 0
    problems: list[DocumentProblem] = field(default_factory=list)

    @property
    def document(self) -> tuple[str, int]:
        """The key of the object, the same each time the file is read."""
        return self.file, self.number


@dataclass(frozen=True, slots=True)
class Cursor:
    """One YAML node with its path (``spec.http[0].match``) and depth."""

    node: Any
    path: str
    report: Report
    depth: int = 0

    @property
    def place(self) -> Place:
        """The place of the node's first character."""
        return place_of(self.node, self.report.file)

    @property
    def is_null(self) -> bool:
        """Whether the value is ``null``, ``~`` or missing."""
        return self.node.id == "scalar" and self._plain(_NULL)

    def problem(self, code: str, message: str, hint: str) -> None:
        """Report a problem of this node, unless its type was just reported as wrong."""
        last = self.report.problems[-1:]
        if any((it.code, it.place, it.path) == ("type", self.place, self.path) for it in last):
            return
        self.report.problems.append(DocumentProblem(self.place, code, self.path, message, hint))

    def fields(self, known: Iterable[str]) -> dict[str, Cursor]:
        """Return the fields that are set; report those that are not ``known``."""
        names = tuple(known)
        found: dict[str, Cursor] = {}
        for name, value in self.entries().items():
            if name not in names:
                hint = did_you_mean(name, names).removeprefix("unknown; ")
                value.problem("unknown_field", f"unknown field {name!r}", hint)
            elif not value.is_null:
                found[name] = value
        return found

    def entries(self) -> dict[str, Cursor]:
        """Return all entries of a mapping, with ``<<`` merged in and null values kept."""
        if self.node.id != "mapping":
            self._wrong_type("a mapping (name: value)")
            return {}
        if self.depth >= MAX_DEPTH:
            self.problem(
                "too_deep", "nested too deeply", "check for an alias inside its own anchor"
            )
            return {}
        merged: dict[str, Cursor] = {}
        own: dict[str, Cursor] = {}
        for key, value in self.node.value:
            if key.id != "scalar":
                self.problem("type", "a key is a list or a mapping", "use a plain name")
                continue
            inner = self._child(value, f"{self.path}.{key.value}" if self.path else key.value)
            if key.value == "<<" and key.style is None:
                sources = inner.items() if inner.node.id == "sequence" else [inner]
                for source in reversed(sources):
                    merged |= source.entries()
            else:
                own[key.value] = inner
        return merged | own

    def items(self) -> list[Cursor]:
        """Return the items of a list."""
        if self.node.id != "sequence":
            self._wrong_type("a list (- item)")
            return []
        return [self._child(item, f"{self.path}[{at}]") for at, item in enumerate(self.node.value)]

    def string(self) -> str:
        """Read a string; to Kubernetes a bare ``8000`` or ``yes`` is not one."""
        if self.node.id != "scalar":
            self._wrong_type("a string")
            return ""
        if not self._is_text:
            # The value is not shown: it may be a key's.
            kind = self._kind()
            hint = "write a string" if kind == "null" else "put it in quotes"
            self.problem("type", f"must be a string, not {kind}", hint)
        return str(self.node.value)

    def line(self, code: str) -> str:
        """Read a string that Envoy puts into a field or a path; `code` is that of the problem.

        Envoy refuses a configuration in which one has a line break or NUL (``HTTP_HEADER_VALUE``).
        """
        text = self.string()
        if _NO_LINE.search(text):
            self.problem(code, "the value has a line break or NUL in it", "write it on one line")
        return text

    def strings(self) -> list[tuple[str, Cursor]]:
        """Read a list of strings, each with its cursor."""
        return [(item.string(), item) for item in self.items()]

    def integer(self, low: int, high: int) -> int:
        """Read a whole number from ``low`` to ``high``."""
        if not (self.node.id == "scalar" and self._plain(_INTEGER)):
            self._wrong_type("a whole number")
            return low
        number = int(self.node.value)
        if not low <= number <= high:
            self.problem("range", f"{number} is out of range", f"use {low} to {high}")
            return low
        return number

    def number(self) -> float:
        """Read a number."""
        if not (self.node.id == "scalar" and self._plain(_NUMBER)):
            self._wrong_type("a number")
            return 0.0
        return float(self.node.value)

    def boolean(self) -> bool:
        """Read ``true`` or ``false``."""
        if self.node.id == "scalar" and self._plain(_TRUE):
            return True
        if not (self.node.id == "scalar" and self._plain(_FALSE)):
            self._wrong_type("true or false")
        return False

    def choice(self, *values: str) -> str:
        """Read one of the given strings; anything else is reported and read as the first."""
        value = self.string()
        if value in values:
            return value
        self.problem("choice", f"unknown value {value!r}", f"use one of {', '.join(values)}")
        return values[0]

    def seconds(self) -> float:
        """Read a duration such as ``24h``, ``1m30s`` or ``1.5s``, in seconds."""
        text = self.string()
        if not self._is_text:
            return 1.0
        parts = _DURATION_PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.problem("duration", f"{text!r} is not a duration", "write it as 24h, 10m or 600s")
            return 1.0
        return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)

    def _child(self, node: Any, path: str) -> Cursor:
        return Cursor(node, path, self.report, self.depth + 1)

    def _plain(self, pattern: re.Pattern[str]) -> bool:
        return self.node.style is None and pattern.fullmatch(self.node.value) is not None

    @property
    def _is_text(self) -> bool:
        return self.node.id == "scalar" and (
            self.node.style is not None or self._kind() == "a string"
        )

    def _kind(self) -> str:
        if self.node.tag == _TAGS + "str" and not (self._plain(_TRUE) or self._plain(_FALSE)):
            return "a string"
        if self._plain(_NULL):
            return "null"
        if self._plain(_TRUE) or self._plain(_FALSE):
            return "a boolean"
        return "a number" if self._plain(_NUMBER) else "a string"

    def _wrong_type(self, wanted: str) -> None:
        kinds = {"mapping": "a mapping", "sequence": "a list"}
        quoted = self.node.id == "scalar" and self.node.style in {"'", '"'}
        # A string is not shown: it may be a key's value.
        got = kinds.get(self.node.id) or "a string"
        hint = "write it without quotes" if quoted else f"write {wanted}"
        self.problem("type", f"must be {wanted}, not {got}", hint)
