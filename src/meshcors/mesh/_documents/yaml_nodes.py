"""YAML text to nodes that know their place, within limits, and with one error for a broken file.

The nodes are not converted to Python objects. Aliases stay references, so an alias bomb takes no
more memory than its text; `AliasBudget` counts the nodes before anything follows them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.place import Place
from meshcors.mesh._documents.json_nodes import LINE_BREAK, looks_like_json, parse_json
from meshcors.mesh._documents.json_reader import NotJsonError
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# etcd accepts no object above 1.5 MiB.
MAX_CHARACTERS: Final = 2 * 1024 * 1024
# For a file with its aliases followed. The largest real files have some thousand nodes.
MAX_NODES: Final = 300_000
# No file has as many documents; to read each part has its price.
_MOST_PARTS: Final = 10_000
# YAML allows such a line nowhere else, not even in a text.
_DOCUMENT_START: Final = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
# Also the end of a document, after which another may begin.
_KIND: Final = re.compile(r"""^(?:["']?kind["']?[ \t]*:|\.\.\.|[{\[?])""", re.MULTILINE)
_DEFINITION: Final = re.compile(
    r"""^kind:[ \t]+(["']?)CustomResourceDefinition\1[ \t]*(?:#.*)?\r?$""", re.MULTILINE
)
_DIRECTIVE: Final = re.compile("^%", re.MULTILINE)
INSTALL: Final = "python -m pip install 'meshcors[cli]'"


def parse_each(
    text: str, file: str, unrendered: Callable[[str, Place], DocumentProblem | None]
) -> tuple[list[Any], list[DocumentProblem]]:
    """Return the root node of each YAML document that can be read, and why the others cannot.

    If ``text`` is not YAML as a whole, each part that begins with ``---`` is read for itself, up to
    ``_MOST_PARTS``. CustomResourceDefinitions are not read: they are large, and no tool looks at
    them.
    ``unrendered`` says what a part is that is not YAML but the source of some.
    ``DocumentError`` is raised if ruamel.yaml is not installed.
    """
    starts = [0, *(found.start() for found in _DOCUMENT_START.finditer(text) if found.start())]
    skipped = _definitions(text, starts)
    try:
        if not skipped:
            return parse(text, file), []
    except DocumentError as error:
        if error.problems[0].code == "yaml_missing":
            raise
        if error.problems[0].code == "too_large":
            return [], list(error.problems)
        if not 1 < len(starts) < _MOST_PARTS:
            return [], [_named(error, text, Place(file, 1, 1), unrendered)]
    roots: list[Any] = []
    problems: list[DocumentProblem] = []
    line = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        try:
            roots += [] if start in skipped else parse(part, file, (start, line))
        except DocumentError as error:
            problems.append(_named(error, part, Place(file, line + 1, 1), unrendered))
        line += len(LINE_BREAK.findall(part))
    return roots, problems


def _definitions(text: str, starts: list[int]) -> set[int]:
    """Return the starts of the parts that are CustomResourceDefinitions and nothing else."""
    found: set[int] = set()
    # a directive is for the part after it
    if _DEFINITION.search(text) and len(starts) < _MOST_PARTS and not _DIRECTIVE.search(text):
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            kinds = _KIND.findall(text, start, end)
            if len(kinds) == 1 and _DEFINITION.search(text, start, end):
                found.add(start)
    return found


def _named(
    error: DocumentError,
    text: str,
    place: Place,
    unrendered: Callable[[str, Place], DocumentProblem | None],
) -> DocumentProblem:
    """Return the problem of a text that is not YAML."""
    return unrendered(text, place) or error.problems[0]


def parse(text: str, file: str, before: tuple[int, int] = (0, 0)) -> list[Any]:
    """Return the root node of each YAML document in ``text``, without empty documents.

    ``before`` are the characters and lines of the file before ``text``, which places count too.
    ``DocumentError`` is raised for text that is not YAML or longer than ``MAX_CHARACTERS``, and if
    ruamel.yaml is not installed.
    """
    first = Place(file, before[1] + 1, 1)
    if len(text) > MAX_CHARACTERS and not looks_like_json(text):
        size = f"{len(text) / 1024 / 1024:.1f} MiB"
        limit = f"{MAX_CHARACTERS // 1024 // 1024} MiB for YAML"
        message = f"the file has {size}, and the limit is {limit}"
        raise _error(first, "too_large", message, "split it, or print it as JSON: kubectl -o json")
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
        from ruamel.yaml.reader import Reader, ReaderError
    except ModuleNotFoundError:
        raise _error(first, "yaml_missing", "reading YAML needs ruamel.yaml", INSTALL) from None
    if len(text) > MAX_CHARACTERS:
        return _json_roots(text, file)
    reader = YAML(typ="safe", pure=True)
    # YAML allows an anchor's name to be used again.
    reader.composer.warn_double_anchors = False
    reader.Reader = Reader
    reader.reader.index, reader.reader.line = before
    try:
        return [root for root in reader.compose_all(text) if root is not None]
    except RecursionError:
        message = "lists and mappings are nested too deeply"
        hint = "check for brackets that are never closed"
        raise _error(first, "too_deep", message, hint) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else first
        raise _syntax(place, error.problem or error.context or "it cannot be read") from None
    except ReaderError as error:
        above = lines_of(text[: error.position - before[0]])
        place = Place(file, before[1] + len(above), len(above[-1]) + 1)
        raise _syntax(place, f"unacceptable character {error.character:#x}") from None
    except YAMLError as error:
        raise _syntax(first, str(error)) from None


def _json_roots(text: str, file: str) -> list[Any]:
    """Return the node of a JSON text that is too large for YAML's reader."""
    try:
        return [parse_json(text)]
    except RecursionError:
        hint = "check for brackets that are never closed"
        raise _error(Place(file, 1, 1), "too_deep", "nested too deeply", hint) from None
    except NotJsonError as error:
        above = lines_of(text[: error.at])
        place = Place(file, len(above), len(above[-1]) + 1)
        raise _error(place, "json", "not JSON from here on", "fix the JSON") from None


def lines_of(text: str) -> list[str]:
    """Split a text into the lines that places count, without their line breaks."""
    return LINE_BREAK.split(text)


def place_of(node: Any, file: str) -> Place:
    """Return the place of a node's first character."""
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


class AliasBudget:
    """How many values a file may still have with its aliases followed.

    Sizes are computed without following an alias twice: the time is linear in the text.
    """

    def __init__(self, file: str, characters: int = 0) -> None:
        self._file = file
        # A text larger than YAML may be is JSON, which has no aliases.
        self._left = characters if characters > MAX_CHARACTERS else MAX_NODES
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def problem_of(self, root: Any) -> DocumentProblem | None:
        """Take the size of an object from the budget; return a problem if it is too large."""
        looping: list[Any] = []
        size = self._size(root, looping)
        if looping:
            place, hint = place_of(looping[0], self._file), "check for an alias inside its anchor"
            return DocumentProblem(place, "too_deep", "", "nested too deeply", hint)
        if size > self._left:
            message = f"aliases (*name) expand this file to more than {MAX_NODES} values"
            place = place_of(root, self._file)
            return DocumentProblem(place, "alias_bomb", "", message, "write the values out")
        self._left -= size
        return None

    def _size(self, node: Any, looping: list[Any]) -> int:
        if node.id == "scalar":
            return 1
        key = id(node)
        if key in self._open:
            looping.append(node)
            return 0
        if key not in self._sizes:
            self._open.add(key)
            inner = node.value if node.id == "sequence" else [value for _, value in node.value]
            self._sizes[key] = 1 + sum(self._size(each, looping) for each in inner)
            self._open.discard(key)
        return self._sizes[key]


def plain_data(node: Any) -> Any:
    """Return a node as lists, dicts, strings, integers and booleans."""
    if node.id == "sequence":
        return [plain_data(item) for item in node.value]
    if node.id == "mapping":
        return {key.value: plain_data(value) for key, value in node.value}
    if node.tag == "tag:yaml.org,2002:int":
        return int(node.value)
    return node.value == "true" if node.tag == "tag:yaml.org,2002:bool" else node.value


def duplicate_keys(root: Any, file: str) -> Iterator[DocumentProblem]:
    """Yield a problem for each key that a mapping under ``root`` has twice.

    The time is linear in the text.
    """
    seen: set[int] = set()
    stack: list[tuple[Any, str]] = [(root, "")]
    while stack:
        node, path = stack.pop()
        if id(node) in seen or node.id == "scalar":
            continue
        seen.add(id(node))
        if node.id == "sequence":
            stack += [(item, f"{path}[{at}]") for at, item in enumerate(node.value)]
            continue
        first: dict[str, Place] = {}
        for key, value in node.value:
            name = key.value if key.id == "scalar" else "?"
            inner = f"{path}.{name}" if path else name
            stack.append((value, inner))
            place = place_of(key, file)
            if name in first and name != "<<" and key.id == "scalar":
                message = f"the same key is on line {first[name].line}"
                yield DocumentProblem(place, "duplicate_key", inner, message, "keep one of them")
            first.setdefault(name, place)


def _syntax(place: Place, reason: str) -> DocumentError:
    # The message quotes a tag or an alias, which may be anything.
    reason = re.sub("(tag handle|alias) .*", r"\1", " ".join(reason.split()))
    hint = "fix the YAML"
    if "\\t" in reason or "'\t'" in reason:
        reason, hint = "a tab where YAML expects spaces", "indent with spaces"
    return _error(place, "yaml", f"not YAML: {reason}", hint)


def _error(place: Place, code: str, message: str, hint: str) -> DocumentError:
    return DocumentError([DocumentProblem(place, code, "", message, hint)])
