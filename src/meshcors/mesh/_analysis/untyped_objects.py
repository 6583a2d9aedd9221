"""Reading objects whose schema is not modelled: a value of an unexpected type counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcors.mesh._documents.cursor import Cursor


def fields_of(cursor: Cursor | None) -> dict[str, Cursor]:
    """Return the fields of a mapping that are set."""
    # what an Envoy runs has no node
    if cursor is None or cursor.node is None or cursor.node.id != "mapping":
        return {}
    return {name: value for name, value in cursor.entries().items() if not value.is_null}


def items_of(cursor: Cursor | None) -> list[Cursor]:
    """Return the items of a list."""
    return cursor.items() if cursor is not None and cursor.node.id == "sequence" else []


def value_at(cursor: Cursor | None, *path: str) -> Cursor | None:
    """Return the value at the end of ``path``."""
    for name in path:
        cursor = fields_of(cursor).get(name)
    return cursor


def text_of(cursor: Cursor | None) -> str:
    """Return a string as written, or ``""``."""
    return str(cursor.node.value) if cursor is not None and cursor.node.id == "scalar" else ""


def group_and_kind(cursor: Cursor) -> tuple[str, str]:
    """Return an object's API group and kind: ``("security.istio.io", "AuthorizationPolicy")``."""
    group = text_of(value_at(cursor, "apiVersion")).rpartition("/")[0]
    return group, text_of(value_at(cursor, "kind"))
