"""The root path that an ASGI app leaves out of the path it routes on, whatever the server says.

Only looked up, never imported: without a framework's module no app is one of its.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import CellType, FunctionType
from typing import Any, Final, TypeAlias

# Given a scope (ASGI 3.0), the root path that counts.
RootPath: TypeAlias = Callable[[Mapping[str, Any]], str]

# An object may have an attribute of any name, without end.
_MOST_LAYERS: Final = 64


def root_path_of(app: Any) -> RootPath:
    """Return what tells the root path that the ASGI `app` leaves out of the path it routes on.

    Most leave out the scope's. FastAPI puts its own ``root_path`` in its place, Django its
    ``FORCE_SCRIPT_NAME``. Falcon routes on the whole path, and some servers take the root path from
    a field of the request. The app may be wrapped, see `_below`.
    """
    fastapi = sys.modules.get("fastapi.applications")
    django = sys.modules.get("django.core.handlers.asgi")
    falcon = sys.modules.get("falcon.asgi.app")
    for _ in range(_MOST_LAYERS):
        found = app
        if fastapi is not None and isinstance(found, fastapi.FastAPI):
            return lambda scope: str(found.root_path or _of_scope(scope))
        if django is not None and isinstance(found, django.ASGIHandler):
            settings = sys.modules["django.conf"].settings
            return lambda scope: str(settings.FORCE_SCRIPT_NAME or _of_scope(scope))
        if falcon is not None and isinstance(found, falcon.App):
            return lambda scope: ""
        app = _below(found)
    return _of_scope


def _of_scope(scope: Mapping[str, Any]) -> str:
    return scope.get("root_path") or ""


def _below(app: Any) -> Any:
    """Return the app that `app` is wrapped around, or None.

    It is called ``app``: an attribute in most middleware, a variable of the function around it in
    middleware that is a function. Or ``__wrapped__``, as `functools.wraps` has it.
    """
    for name in ("app", "__wrapped__"):
        below = getattr(app, name, None)
        if below is not None:
            return below
    if isinstance(app, FunctionType):
        for name, cell in zip(app.__code__.co_freevars, app.__closure__ or (), strict=True):
            if name == "app":
                return _content(cell)
    return None


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None
