"""YAML nodes of one text: looked up, turned into plain data, compared."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from meshcors.mesh._documents.source import parse

_INT: Final = "tag:yaml.org,2002:int"
_BOOL: Final = "tag:yaml.org,2002:bool"
_NULL: Final = "tag:yaml.org,2002:null"
_DECIMAL: Final = re.compile("[1-9][0-9]{0,17}|0")


@lru_cache(maxsize=16)
def compose(text: str) -> Any:
    """Return the node of one YAML value; equal texts share it, so it is not to be changed."""
    return parse(text, "<made>")[0]


def child(node: Any, *path: str | int) -> Any:
    """Return the node at the end of ``path``, merge keys followed; None where there is none."""
    for step in path:
        found = None
        if node is not None and isinstance(step, int):
            inside = node.id == "sequence" and step < len(node.value)
            found = node.value[step] if inside else None
        elif node is not None and node.id == "mapping":
            found = _field(node, str(step))
        node = found
    return node


def _field(node: Any, name: str) -> Any:
    for key, value in node.value:
        if key.value == name:
            return value
    for key, value in node.value:
        if key.value == "<<":
            for source in value.value if value.id == "sequence" else [value]:
                found = _field(source, name) if source.id == "mapping" else None
                if found is not None:
                    return found
    return None


def plain(node: Any) -> Any:
    """Return a node as dicts, lists, texts, whole numbers, booleans and None."""
    if node.id == "mapping":
        return {key.value: plain(value) for key, value in node.value if key.id == "scalar"}
    if node.id == "sequence":
        return [plain(item) for item in node.value]
    if node.tag == _INT and _DECIMAL.fullmatch(node.value):
        return int(node.value)
    if node.tag == _BOOL:
        return node.value.lower() in {"true", "yes", "on", "y"}
    return None if node.tag == _NULL else str(node.value)


def same(one: Any, other: Any) -> bool:
    """Tell whether two nodes say the same, however they are written; aliases cost nothing."""
    seen: set[tuple[int, int]] = set()
    stack = [(one, other)]
    while stack:
        left, right = stack.pop()
        if (id(left), id(right)) in seen:
            continue
        seen.add((id(left), id(right)))
        if left.id != right.id or left.tag != right.tag:
            return False
        if left.id == "scalar":
            if left.value != right.value:
                return False
        elif len(left.value) != len(right.value):
            return False
        elif left.id == "sequence":
            stack += zip(left.value, right.value, strict=True)
        else:
            for pair, match in zip(left.value, right.value, strict=True):
                stack += zip(pair, match, strict=True)
    return True
