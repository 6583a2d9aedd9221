"""The path of a request, as the app routes on it: decoded once, compared by whole segments.

A path that two readers could read differently is in doubt: no exemption and no prefix covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# What some readers drop or skip, and others do not: control characters (a regex's ``$`` matches
# before a last line feed), bytes that are no UTF-8.
_UNSURE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")

# What a path has only where it is written as in a URL.
_OF_URLS: Final = frozenset("%?#")

# Stands for a path in doubt: no path that begins with / equals it.
IN_DOUBT: Final = ""


def is_plain_path(path: str) -> bool:
    """Tell whether everybody reads `path` the same way.

    It begins with ``/``, has no ``.`` or ``..`` segment, no empty one before its end, no control
    character, and nothing that was no UTF-8.
    """
    if not path.startswith("/") or "//" in path or _UNSURE.search(path):
        return False
    # Few paths have a segment that even begins with a dot.
    return "/." not in path or {".", ".."}.isdisjoint(path.split("/"))


def never_matches(path: str) -> tuple[str, str] | None:
    """Return the code and the hint of a problem if no path of a request can equal `path`."""
    if not _OF_URLS.isdisjoint(path):
        return "path_encoded", "write the path decoded, without its query"
    if not is_plain_path(path):
        return "path_never_matches", "no . or .. segments, no // and no control characters"
    return None


def routed_path(path: str, root_path: str, below: Iterable[tuple[str, str]] = ()) -> str:
    """Return the path on which an ASGI app below `root_path` routes, or `IN_DOUBT`.

    `path` and `root_path` are those of the scope. Starlette and Django remove `root_path` where it
    is a prefix of whole segments, and take any other path as it is: a proxy has removed the prefix.
    Others remove it as text, or wherever it stands in the path: if that would make a difference,
    the path is in doubt.

    `below` are the root paths that apps further below set themselves, each after the path at which
    that app is mounted. A path that begins with one of them is in doubt, for such an app leaves it
    out, unless mounts would have made the same root path. An empty one is that of an app which
    routes on the whole path: whatever is removed above it is in doubt.
    """
    if not root_path or root_path == "/":
        removed, routed = "", path
    elif _begins_with(path, root_path):
        removed, routed = root_path, path[len(root_path) :]
    elif root_path in path:
        return IN_DOUBT
    else:
        removed, routed = "", path
    for mounted, own in below:
        if _begins_with(path, own) and own != removed + mounted:
            return IN_DOUBT
    return routed


def _begins_with(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
