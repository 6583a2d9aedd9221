"""JSON and YAML to Python values, in which every object knows where it begins.

JSON is read without YAML's limits: a gateway's dump may have many megabytes. The parts that hold no
routes (clusters, endpoints, secrets) are skipped at the speed of the standard library.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.place import Place
from meshcors.mesh._documents.json_reader import JsonReader, NotJsonError
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem
from meshcors.mesh._documents.yaml_nodes import AliasBudget, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of JSON; YAML has `yaml_nodes.MAX_CHARACTERS`.
MAX_CHARACTERS: Final = 128 * 1024 * 1024

_SKIPPED: Final = re.compile(
    r'\{\s*"@type"\s*:\s*"[^"]*\.(Clusters|Endpoints|Secrets|Ecds)ConfigDump"'
)
_UPPER: Final = re.compile("(?<=.)[A-Z]")
_BREAK: Final = re.compile("\r\n|\r|\n")


class JsonObject(dict[str, Any]):
    """An object; ``at`` is its offset in a JSON text, or its line and column in YAML.

    Field names are in snake case: protobuf's JSON has both spellings.
    """

    __slots__ = ("at",)
    at: int | tuple[int, int]


class Source:
    """A file's text and its name."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    def place(self, found: JsonObject) -> Place:
        """Return the place of an object."""
        if isinstance(found.at, tuple):
            return Place(self.file, *found.at)
        before = bisect_left(self._line_starts, found.at + 1) - 1
        return Place(self.file, before + 1, found.at - self._line_starts[before] + 1)

    def error(self, at: int, code: str, message: str, hint: str) -> DocumentError:
        """Return the error for a text that is not readable from ``at`` on."""
        marker = JsonObject()
        marker.at = at
        return DocumentError([DocumentProblem(self.place(marker), code, "", message, hint)])

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in _BREAK.finditer(self.text))]


def read_json(source: Source) -> Any:
    """Return the value of a JSON text; ``DocumentError`` if it is not JSON."""
    if len(source.text) > MAX_CHARACTERS:
        size = MAX_CHARACTERS // 1024 // 1024
        message = f"the file is larger than {size} MiB"
        raise source.error(0, "too_large", message, "dump the routes alone: istioctl proxy-config")
    try:
        return JsonReader(source.text, _ObjectMaker(), _SKIPPED).read()
    except RecursionError:
        hint = "check for brackets that are never closed"
        raise source.error(0, "too_deep", "nested too deeply", hint) from None
    except NotJsonError as error:
        raise source.error(error.at, "json", "not JSON from here on", "fix the JSON") from None


class _ObjectMaker:
    """Makes the values of `read_json`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def scalar(self, value: Any, token: str, start: int, end: int) -> Any:
        return value

    def list(self, items: list[Any], start: int, end: int) -> Any:
        return items

    def object(self, fields: Sequence[tuple[str, int, int, Any]], start: int, end: int) -> Any:
        made = JsonObject()
        made.at = start
        for name, _, _, value in fields:
            if name not in self._names:
                self._names[name] = snake_case(name)
            made[self._names[name]] = value
        return made


def read_yaml(source: Source) -> list[Any]:
    """Return the value of each document of a YAML text; ``DocumentError`` if it is not YAML."""
    values: dict[int, Any] = {}
    budget = AliasBudget(source.file)
    nodes = parse(source.text, source.file)
    if problems := [found for node in nodes if (found := budget.problem_of(node)) is not None]:
        raise DocumentError(problems)
    return [_from_node(node, values) for node in nodes]


def _from_node(node: Any, values: dict[int, Any]) -> Any:
    """Return the value of a node; an alias shares the value of its anchor."""
    if id(node) in values:
        return values[id(node)]
    if node.id == "mapping":
        made = JsonObject()
        made.at = (node.start_mark.line + 1, node.start_mark.column + 1)
        for key, value in node.value:
            if key.id == "scalar":
                made[snake_case(_text(key))] = _from_node(value, values)
        values[id(node)] = made
        return made
    if node.id == "sequence":
        values[id(node)] = [_from_node(item, values) for item in node.value]
        return values[id(node)]
    return _scalar(node)


def _text(node: Any) -> str:
    """Return the text of a scalar, without halves of surrogate pairs."""
    value: str = node.value
    return value.encode(errors="replace").decode()


def _scalar(node: Any) -> Any:
    text = _text(node)
    if node.style is not None:
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return text


def snake_case(name: str) -> str:
    """Return a field's name in snake case; names with dots, such as filters', stay as they are."""
    if "." in name or "@" in name or name.islower():
        return name
    return _UPPER.sub(lambda found: "_" + found[0].lower(), name)
