"""Somebody else's app, wrapped without touching its code: the app and its policy by environment.

``MESHCORS_APP=pkg.mod:obj`` names the app, the other ``MESHCORS_*`` variables its policy::

    uvicorn --factory meshcors.wrap:asgi
    gunicorn "meshcors.wrap:wsgi()"
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from meshcors import asgi as asgi_adapter
from meshcors import wsgi as wsgi_adapter
from meshcors.config import argument, load
from meshcors.errors import PolicyError
from meshcors.spelling import APP_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def asgi() -> asgi_adapter.ASGIApp:
    """Return the ASGI app that ``MESHCORS_APP`` names, inside the environment's policy.

    A mistake in either ends the process with one line on stderr for each, and exit code 2, or
    gunicorn's own for an app that does not load.
    """
    policy = _policy()
    return asgi_adapter.MeshCORS(_named_app(), **policy)


def wsgi() -> WSGIApplication:
    """Return the WSGI app that ``MESHCORS_APP`` names; see `asgi`."""
    policy = _policy()
    return wsgi_adapter.MeshCORS(_named_app(), **policy)


def _policy() -> dict[str, Any]:
    try:
        return argument(load(None))
    except PolicyError as error:
        _refuse(str(error))


def _named_app() -> Any:
    name = os.environ.get(APP_VARIABLE, "")
    module_name, _, attributes = name.partition(":")
    if not attributes or not all(module_name.split(".")):
        _refuse(f"{APP_VARIABLE}: write pkg.mod:obj, the app to wrap, not {name!r}")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the app itself fails to import is the app's own traceback to show.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        _refuse(f"{APP_VARIABLE}: there is no module {error.name}")
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
        if found is None:
            _refuse(f"{APP_VARIABLE}: {module_name} has no {attributes}")
    if not callable(found):
        _refuse(f"{APP_VARIABLE}: {name} is no app: it cannot be called")
    return found


def _refuse(message: str) -> NoReturn:
    # Servers call this at start: an exception would reach the user as their traceback.
    print(f"meshcors: {message}", file=sys.stderr, flush=True)
    # For any other code gunicorn starts its workers anew, for ever.
    gunicorn = sys.modules.get("gunicorn.arbiter")
    raise SystemExit(2 if gunicorn is None else gunicorn.Arbiter.APP_LOAD_ERROR)
