"""Paths as servers decode them, once: compared by whole segments, with case."""

from __future__ import annotations


def is_plain_path(path: str) -> bool:
    """Tell whether `path` has no ``.`` and no ``..`` segment and no empty one before its end."""
    if "//" in path:
        return False
    # Few paths have a segment that even begins with a dot.
    return "/." not in f"/{path}" or {".", ".."}.isdisjoint(path.split("/"))
