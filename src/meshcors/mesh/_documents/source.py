"""YAML text to nodes that know their place: bounded, and never a traceback for a broken file.

Nothing is constructed from the text. Aliases stay references, so that an alias bomb costs what it
weighs; whoever walks the nodes counts them (`cursor`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

# etcd takes no object above 1.5 MiB, and istiod no larger one.
MAX_CHARACTERS: Final = 2 * 1024 * 1024
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
INSTALL: Final = "python -m pip install 'meshcors[cli]'"


def parse(text: str, file: str) -> list[Any]:
    """Return the root node of each YAML document of ``text``; empty documents are left out.

    ``DocumentError`` says where the text is no YAML, or that it is larger than
    ``MAX_CHARACTERS``, or that ruamel.yaml is not installed.
    """
    if len(text) > MAX_CHARACTERS:
        size = f"{len(text) / 1024 / 1024:.1f} MiB"
        message = f"the file has {size}, more than the {MAX_CHARACTERS // 1024 // 1024} MiB read"
        raise _fault(Place(file, 1, 1), "too_large", message, "split it")
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ModuleNotFoundError:
        place = Place(file, 1, 1)
        raise _fault(place, "yaml_missing", "ruamel.yaml reads this file", INSTALL) from None
    reader = YAML(typ="safe", pure=True)
    reader.composer.warn_double_anchors = (
        False  # a later anchor of the same name wins, as YAML has it
    )
    try:
        return [root for root in reader.compose_all(text) if root is not None]
    except RecursionError:
        message = "lists and mappings are nested too deep"
        raise _fault(Place(file, 1, 1), "too_deep", message, "a document nests some ten") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise _syntax(place, error.problem or error.context or "broken") from None
    except YAMLError as error:
        raise _syntax(Place(file, 1, 1), str(error)) from None


def lines_of(text: str) -> list[str]:
    """Split a text where places count a new line; the line breaks are left out."""
    return _LINE_BREAK.split(text)


def place_of(node: Any, file: str) -> Place:
    """Return the place of a node's first character."""
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


def duplicate_keys(root: Any, file: str) -> Iterator[DocumentProblem]:
    """Yield each key that a mapping under ``root`` has twice, in time linear in the text."""
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
                message = f"the key is already on line {first[name].line}"
                yield DocumentProblem(place, "duplicate_key", inner, message, "keep one of them")
            first.setdefault(name, place)


def _syntax(place: Place, reason: str) -> DocumentError:
    # Of a tag and of an alias it would tell what stands there.
    reason = re.sub("(tag handle|alias) .*", r"\1", " ".join(reason.split()))
    hint = "mend the YAML"
    if "\\t" in reason or "'\t'" in reason:
        reason, hint = "a tab where YAML wants spaces", "indent with spaces"
    return _fault(place, "yaml", f"not YAML: {reason}", hint)


def _fault(place: Place, code: str, message: str, hint: str) -> DocumentError:
    return DocumentError([DocumentProblem(place, code, "", message, hint)])
