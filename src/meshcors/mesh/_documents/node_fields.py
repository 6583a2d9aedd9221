"""Fields of YAML nodes, found as `Cursor` finds them: own keys, then those merged with ``<<``.

The nodes must be those of a document that was read without problems: then no merge key leads back
to itself.
"""

from __future__ import annotations

from typing import Any


def entry(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """Return the key and the value of a field, both nodes; None where there is no such field.

    `step` is the name of a mapping's field, or the number of a list's item, which is its own key.
    """
    if isinstance(step, int):
        inside = node.id == "sequence" and -len(node.value) <= step < len(node.value)
        return (node.value[step], node.value[step]) if inside else None
    if node.id != "mapping":
        return None
    for key, value in node.value:
        if key.value == step:
            return key, value
    for key, value in node.value:
        if key.value == "<<" and key.style is None:
            for source in value.value if value.id == "sequence" else [value]:
                if (found := entry(source, step)) is not None:
                    return found
    return None
