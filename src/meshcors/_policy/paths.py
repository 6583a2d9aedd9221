"""The path of a request, as the app routes on it: decoded once, compared by whole segments.

A path that two programs could read differently is ambiguous: no exemption and no prefix covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from meshcors._policy.problem_codes import ProblemCode

# What some programs ignore and others do not: control characters (a regex's ``$`` matches before a
# trailing line feed), and bytes that are not UTF-8.
_UNSURE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")

# What a path has only while it is encoded as in a URL.
_OF_URLS: Final = frozenset("%?#")

# An ambiguous path. No path that begins with / equals it.
AMBIGUOUS: Final = ""


def is_plain_path(path: str) -> bool:
    """Return whether every program reads `path` the same way.

    Such a path begins with ``/``, and has no ``.`` or ``..`` segments, no empty segment except the
    last one, no control characters, and nothing that was not UTF-8.
    """
    if not path.startswith("/") or "//" in path or _UNSURE.search(path):
        return False
    # A short cut, because few paths have a segment that begins with a dot.
    return "/." not in path or {".", ".."}.isdisjoint(path.split("/"))


def never_matches(path: str) -> tuple[ProblemCode, str] | None:
    """Return the code and the hint of a problem if no request can have this `path`; else None."""
    if not _OF_URLS.isdisjoint(path):
        return "path_encoded", "write the path decoded, without its query"
    if not is_plain_path(path):
        return "path_never_matches", "leave out . and .. segments, // and control characters"
    return None


def routed_path(path: str, root_path: str, below: Iterable[tuple[str, str]] = ()) -> str:
    """Return the path on which an ASGI app below `root_path` routes, or `AMBIGUOUS`.

    `path` and `root_path` are those of the scope. Starlette and Django remove `root_path` if it is
    a prefix of whole segments, and leave any other path as it is, because a proxy has removed the
    prefix. Others remove it as text, or anywhere in the path; if that would make a difference, the
    path is ambiguous.

    `below` are the root paths that apps further below set themselves, each with the path at which
    that app is mounted before it. Such an app removes its root path, so a path that begins with one
    is ambiguous, unless mounts would have made the same root path. An empty one belongs to an app
    that routes on the whole path, so any path from which something is removed above it is
    ambiguous.
    """
    if not root_path or root_path == "/":
        removed, routed = "", path
    elif _begins_with(path, root_path):
        removed, routed = root_path, path[len(root_path) :]
    elif root_path in path:
        return AMBIGUOUS
    else:
        removed, routed = "", path
    for mounted, own in below:
        if _begins_with(path, own) and own != removed + mounted:
            return AMBIGUOUS
    return routed


def _begins_with(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
