"""Sources that another program turns into documents first: templates, patches, Jsonnet."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.place import Place
from meshcors._policy.wording import file_argument
from meshcors.mesh._documents.node_fields import entry
from meshcors.mesh._documents.problems import DocumentProblem
from meshcors.mesh._documents.yaml_nodes import lines_of, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# What commands call a directory whose name is not known.
CHART: Final = "CHART"
DIRECTORY: Final = "DIR"
KUSTOMIZE: Final = f"kubectl kustomize {DIRECTORY} | meshcors lint -"
_HELM: Final = ("a Helm template", f"helm template {CHART} | meshcors lint -")
_PATCH: Final = ("a kustomize patch", KUSTOMIZE)
_KUSTOMIZE_VARIABLE: Final = ("a source with the variable $(...)", KUSTOMIZE)
_VARIABLE: Final = ("a source with the variable ${...}", "envsubst < FILE | meshcors lint -")
_JSONNET: Final = ("Jsonnet", "jsonnet FILE | meshcors lint -")

_TEMPLATE: Final = re.compile(r"\{\{")
_MARKS: Final = (
    (_TEMPLATE, _HELM),
    (re.compile(r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)"), _KUSTOMIZE_VARIABLE),
    (re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(:?[-=?+][^}]*)?\}"), _VARIABLE),
)
_JSONNET_LINE: Final = re.compile(
    r"^\s*(local\s+\w+\s*=|assert\s|//|/\*)|\b(import|importstr)\s+['\"]|\bstd\.\w+\(|\w\s*:::?\s",
    re.MULTILINE,
)
_JSONNET_NAMES: Final = (".jsonnet", ".libsonnet")
_PATCH_KEYS: Final = ("$patch", "$retainKeys", "$setElementOrder", "$deleteFromPrimitiveList")
# Other parts of an object hold any text, such as a copy of what was applied.
_READ: Final = (("spec",), ("metadata", "name"), ("metadata", "namespace"))


def rendering_hint(file: str) -> str:
    """Return what to do with a file that another program reads, known by its name, or ``""``."""
    name = PurePath(file).stem.lower()
    if name == "kustomization":
        return f"let kustomize read it: {KUSTOMIZE}"
    return f"let Helm read it: {_HELM[1]}" if name in {"values", "chart"} else ""


def patch_problem(place: Place) -> DocumentProblem:
    """Return what a file is that a kustomization lists as a patch."""
    return _problem(place, _PATCH)


def unrendered_text(text: str, place: Place) -> DocumentProblem | None:
    """Return what a text that is not YAML is; ``place`` is that of its first character."""
    is_jsonnet = place.file.endswith(_JSONNET_NAMES)
    found = None if is_jsonnet else _TEMPLATE.search(text)
    if found is None:
        at = _JSONNET_LINE.search(text)
        return _problem(place, _JSONNET) if is_jsonnet or at else None
    above = lines_of(text[: found.start()])
    column = len(above[-1]) + 1
    return _problem(Place(place.file, place.line + len(above) - 1, column), _HELM)


def unrendered_node(root: Any, file: str) -> DocumentProblem | None:
    """Return what a document is that has marks of a template or of a patch."""
    is_jsonnet = root.id == "scalar" and _JSONNET_LINE.search(root.value)
    if is_jsonnet or file.endswith(_JSONNET_NAMES):
        return _problem(place_of(root, file), _JSONNET)
    if root.id == "sequence":
        items = [item for item in root.value if item.id == "mapping"]
        is_patch = items and all(entry(item, "op") and entry(item, "path") for item in items)
        return _problem(place_of(root, file), _PATCH) if is_patch else None
    parts = [root]
    if entry(root, "kind"):
        found = (_at(root, path) for path in _READ)
        parts = [node for node in found if node is not None]
    if root.id == "mapping" and any(entry(root, name) for name in _PATCH_KEYS):
        return _problem(place_of(root, file), _PATCH)
    for part in parts:
        for node, what in _marked(part):
            return _problem(place_of(node, file), what)
    return None


def _at(node: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        found = entry(node, step)
        if found is None:
            return None
        node = found[1]
    return node


def _marked(root: Any) -> Iterator[tuple[Any, tuple[str, str]]]:
    """Yield each node under ``root`` with a mark, and what it is a mark of."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.id == "scalar":
            yield from ((node, what) for mark, what in _MARKS if mark.search(node.value))
        elif node.id == "sequence":
            stack += reversed(node.value)
        else:
            for key, value in reversed(node.value):
                if key.id == "mapping":
                    yield node, _HELM  # how YAML reads {{ .Values.name }}
                elif key.value in _PATCH_KEYS:
                    yield key, _PATCH
                stack += [value, key]


def _problem(place: Place, what: tuple[str, str]) -> DocumentProblem:
    command = what[1]
    if not place.file.startswith("<"):
        command = command.replace("FILE", shlex.quote(file_argument(place.file)))
    message, hint = f"this is {what[0]}", f"render it first: {command}"
    return DocumentProblem(place, "unrendered", "", message, hint)
