"""The names of rendered documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sized

# A Kubernetes object as plain data.
Document: TypeAlias = dict[str, Any]


def suffixes(items: Sized) -> list[str]:
    """Return what tells the names of items apart: ``-1``, ``-2``; nothing for a single item."""
    count = len(items)
    return [f"-{number}" for number in range(1, count + 1)] if count > 1 else [""] * count
