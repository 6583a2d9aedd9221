"""The root paths that ASGI apps leave out of the path they route on, whatever the server says.

No framework is imported: if its module is not loaded, no app is one of its apps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from types import CellType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, Final, TypeAlias

# Given a scope (ASGI 3.0), the root path that counts.
RootPath: TypeAlias = Callable[[Mapping[str, Any]], str]

# A chain of attributes may be endless: an object may make up an attribute of any name.
_MOST_LAYERS: Final = 64
# More objects than any app has; an attribute may also be a large cache.
_MOST_OBJECTS: Final = 100_000

# Where Starlette, FastAPI and most middleware keep the apps and routes below them. Their other
# attributes, such as exception handlers, lead to no app.
_KEPT_IN: Final = frozenset(
    (
        *("app", "__wrapped__", "router", "original_router", "routes", "default"),
        *("middleware_stack", "user_middleware", "args", "kwargs"),
    )
)
_FRAMEWORKS: Final = frozenset(("fastapi", "meshcors", "starlette"))
# Starlette's own classes, from which users derive classes with attributes of their own.
_BASES: Final = (
    ("starlette.applications", "Starlette"),
    ("starlette.routing", "Router"),
    ("starlette.routing", "BaseRoute"),
)
_CONTAINERS: Final = (list, tuple, set, frozenset)


def root_path_of(app: Any) -> RootPath:
    """Return a function that tells, for a scope, which root path `app` leaves out when it routes.

    Most apps leave out the scope's. FastAPI uses its own ``root_path`` instead, and Django its
    ``FORCE_SCRIPT_NAME``. Falcon routes on the whole path, and some servers take the root path from
    a field of the request. The app may be wrapped, see `_below`.
    """
    fastapi = sys.modules.get("fastapi.applications")
    django = sys.modules.get("django.core.handlers.asgi")
    falcon = sys.modules.get("falcon.asgi.app")
    for _ in range(_MOST_LAYERS):
        if not _is_there(app):
            break
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


class RootPathsBelow:
    """The root paths that apps anywhere below `app` set themselves: FastAPI, Django, Falcon.

    They are searched at the first request, because apps get their routes after their middleware,
    and again when routes have been added or removed.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._routes: Sequence[Sized] = ()
        self._count = -1
        self._found: Sequence[tuple[str, str]] = ()

    def found(self) -> Sequence[tuple[str, str]]:
        """Return pairs: the path at which an app is mounted, or ``""``, and its root path."""
        if sum(map(len, self._routes)) != self._count:
            self._look()
        return self._found

    def _look(self) -> None:
        routes: list[Sized] = []
        found: dict[tuple[str, str], None] = {}
        for app, mounted in _reached(self._app):
            own = _own_root_path(app)
            if own is not None:
                # Falcon routes on what a mount leaves out, too.
                found[mounted if own else "", own] = None
            if isinstance(held := _attributes(app).get("routes"), list):
                routes.append(held)
        self._routes, self._count = routes, sum(map(len, routes))
        self._found = tuple(found)


def _reached(app: Any) -> Iterator[tuple[Any, str]]:
    """Yield each object reachable from `app` once, with the path at which it is mounted.

    The attributes in which apps are usually kept come first: a mounted app may also be referred to
    elsewhere, without its path.
    """
    usual = [(app, "")]
    others: list[tuple[Any, str]] = []
    for _ in range(_MOST_LAYERS):
        app = _below(app)
        others.append((app, ""))
    seen: dict[int, Any] = {}  # keeps the objects alive, so that no other gets the same id
    while (usual or others) and len(seen) < _MOST_OBJECTS:
        is_usual = bool(usual)
        found, mounted = usual.pop() if is_usual else others.pop()
        if id(found) in seen or not _is_there(found):
            continue
        seen[id(found)] = found
        yield found, mounted
        mounted += _mount_path(found)
        only_usual = _is_of_framework(found)
        for name, part in _parts(found):
            if name in _KEPT_IN or (name is None and is_usual):
                usual.append((part, mounted))
            elif not only_usual and (callable(part) or isinstance(part, (*_CONTAINERS, dict))):
                others.append((part, mounted))


def _parts(found: Any) -> Iterator[tuple[str | None, Any]]:
    """Yield what `found` holds: attributes by name, the items of containers with None."""
    kind = type(found)
    if issubclass(kind, type):
        return
    parts: Iterable[Any] = ()
    if issubclass(kind, dict):
        parts = tuple(found.values())
    elif issubclass(kind, _CONTAINERS):
        parts = tuple(found)
    elif issubclass(kind, MethodType):
        parts = (found.__self__, found.__func__)
    elif issubclass(kind, partial):
        parts = (found.func, found.args, found.keywords)
    else:
        yield from _attributes(found).items()
    if issubclass(kind, FunctionType):
        for name, cell in _variables(found):
            yield name, _content(cell)
    for part in parts:
        yield None, part


def _attributes(found: Any) -> dict[str, Any]:
    """Return what `found` stores, without calling its code: a mock would make up attributes."""
    attributes = dict(getattr(found, "__dict__", ()))
    for kind in type(found).__mro__:
        if "__slots__" in vars(kind):
            for name, slot in vars(kind).items():
                if isinstance(slot, MemberDescriptorType):
                    attributes[name] = getattr(found, name, None)
    return attributes


def _is_there(found: Any) -> bool:
    """Tell whether `found` can be inspected: it may be a proxy whose object is missing now."""
    try:
        _ = found.__class__, getattr(found, "__dict__", None)
    except Exception:  # whatever the proxy raises
        return False
    return True


def _own_root_path(app: Any) -> str | None:
    """Return the root path that `app` sets itself, "" for Falcon, and None for all others."""
    fastapi = sys.modules.get("fastapi.applications")
    django = sys.modules.get("django.core.handlers.asgi")
    falcon = sys.modules.get("falcon.asgi.app")
    if fastapi is not None and isinstance(app, fastapi.FastAPI):
        return str(app.root_path) if app.root_path else None
    if django is not None and isinstance(app, django.ASGIHandler):
        own = sys.modules["django.conf"].settings.FORCE_SCRIPT_NAME
        return str(own) if own else None
    return "" if falcon is not None and isinstance(app, falcon.App) else None


def _mount_path(route: Any) -> str:
    """Return what `route`, a Mount or an included router, adds to the root path."""
    routing = sys.modules.get("starlette.routing")
    if routing is None or not isinstance(route, routing.BaseRoute):
        return ""
    if isinstance(route, routing.Mount):
        return str(route.path)
    return str(getattr(getattr(route, "include_context", None), "prefix", ""))


def _is_of_framework(found: Any) -> bool:
    # Not a function's `__module__`, which `functools.wraps` copies.
    home = found.__globals__.get("__name__") if isinstance(found, FunctionType) else None
    if str(home or type(found).__module__).partition(".")[0] in _FRAMEWORKS:
        return True
    bases = (getattr(sys.modules.get(module), name, ()) for module, name in _BASES)
    return isinstance(found, tuple(bases))


def _of_scope(scope: Mapping[str, Any]) -> str:
    return scope.get("root_path") or ""


def _below(app: Any) -> Any:
    """Return the app that `app` is wrapped around, or None.

    Most middleware keeps it in the attribute ``app``, middleware that is a function in a variable
    ``app`` of the function around it, and `functools.wraps` in ``__wrapped__``.
    """
    for name in ("app", "__wrapped__"):
        below = getattr(app, name, None)
        if below is not None:
            return below
    if isinstance(app, FunctionType):
        for name, cell in _variables(app):
            if name == "app":
                return _content(cell)
    return None


def _variables(function: FunctionType) -> Iterator[tuple[str, CellType]]:
    """Yield the variables that `function` uses from the functions around it."""
    return zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None
