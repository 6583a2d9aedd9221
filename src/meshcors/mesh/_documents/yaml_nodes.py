"""YAML text to nodes that know their place, within limits, and with one error for a broken file.

The nodes are not converted to Python objects. Aliases stay references, so an alias bomb takes no
more memory than its text; `cursor` counts the nodes when it follows them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

# etcd accepts no object above 1.5 MiB.
MAX_CHARACTERS: Final = 2 * 1024 * 1024
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
INSTALL: Final = "python -m pip install 'meshcors[cli]'"


def parse(text: str, file: str) -> list[Any]:
    """Return the root node of each YAML document in ``text``, without empty documents.

    ``DocumentError`` is raised for text that is not YAML or longer than ``MAX_CHARACTERS``, and if
    ruamel.yaml is not installed.
    """
    if len(text) > MAX_CHARACTERS:
        size = f"{len(text) / 1024 / 1024:.1f} MiB"
        message = f"the file has {size}, and the limit is {MAX_CHARACTERS // 1024 // 1024} MiB"
        raise _error(Place(file, 1, 1), "too_large", message, "split it")
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ModuleNotFoundError:
        place = Place(file, 1, 1)
        raise _error(place, "yaml_missing", "reading YAML needs ruamel.yaml", INSTALL) from None
    reader = YAML(typ="safe", pure=True)
    # YAML allows an anchor's name to be used again.
    reader.composer.warn_double_anchors = False
    try:
        return [root for root in reader.compose_all(text) if root is not None]
    except RecursionError:
        message = "lists and mappings are nested too deeply"
        hint = "check for brackets that are never closed"
        raise _error(Place(file, 1, 1), "too_deep", message, hint) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise _syntax(place, error.problem or error.context or "it cannot be read") from None
    except YAMLError as error:
        raise _syntax(Place(file, 1, 1), str(error)) from None


def lines_of(text: str) -> list[str]:
    """Split a text into the lines that places count, without their line breaks."""
    return _LINE_BREAK.split(text)


def place_of(node: Any, file: str) -> Place:
    """Return the place of a node's first character."""
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


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
