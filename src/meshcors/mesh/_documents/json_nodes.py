"""JSON to the nodes that YAML is read to, without the limit of YAML: a cluster's dump is large.

The nodes have the same tags, styles and places as those of `yaml_nodes.parse`, so nothing that
looks at them can tell which of the two has read them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents.json_reader import JsonReader

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAGS: Final = "tag:yaml.org,2002:"
# What YAML counts as the end of a line.
LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
# Not {{ of a template, nor a list in YAML's own style.
_JSON: Final = re.compile(r'[\ufeff\s]*\{\s*"')


def looks_like_json(text: str) -> bool:
    """Tell whether a text begins as a JSON object does."""
    return _JSON.match(text) is not None


def parse_json(text: str) -> Any:
    """Return the node of a JSON text.

    ``NotJsonError`` is raised for a text that is not JSON, ``RecursionError`` for one that is
    nested too deeply.
    """
    return JsonReader(text, _NodeMaker(text)).read()


class _Lines:
    """Where the lines of a text begin."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def starts(self) -> list[int]:
        return [0, *(found.end() for found in LINE_BREAK.finditer(self._text))]


class _Mark:
    """A place of the text; line and column count from 0."""

    __slots__ = ("_lines", "index")

    def __init__(self, lines: _Lines, index: int) -> None:
        self._lines = lines
        self.index = index

    @property
    def line(self) -> int:
        return bisect_right(self._lines.starts, self.index) - 1

    @property
    def column(self) -> int:
        return self.index - self._lines.starts[self.line]


class _NodeMaker:
    def __init__(self, text: str) -> None:
        from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

        self._lines = _Lines(text)
        self._scalar, self._sequence, self._mapping = ScalarNode, SequenceNode, MappingNode

    def scalar(self, value: Any, token: str, start: int, end: int) -> Any:
        if isinstance(value, str):
            return self._text(value, start, end)
        kind = "null" if value is None else type(value).__name__
        return self._scalar(_TAGS + kind, token, self._mark(start), self._mark(end))

    def list(self, items: list[Any], start: int, end: int) -> Any:
        begin, finish = self._mark(start), self._mark(end)
        return self._sequence(_TAGS + "seq", items, begin, finish, flow_style=True)

    def object(self, fields: Sequence[tuple[str, int, int, Any]], start: int, end: int) -> Any:
        pairs = [(self._text(name, at, to), value) for name, at, to, value in fields]
        begin, finish = self._mark(start), self._mark(end)
        return self._mapping(_TAGS + "map", pairs, begin, finish, flow_style=True)

    def _text(self, value: str, start: int, end: int) -> Any:
        return self._scalar(_TAGS + "str", value, self._mark(start), self._mark(end), style='"')

    def _mark(self, at: int) -> _Mark:
        return _Mark(self._lines, at)
