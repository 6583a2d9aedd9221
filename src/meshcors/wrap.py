"""Somebody else's app, wrapped without touching its code: the app and its policy by environment.

``MESHCORS_APP=pkg.mod:obj`` names the app, the other ``MESHCORS_*`` variables its policy::

    uvicorn --factory meshcors.wrap:asgi
    gunicorn "meshcors.wrap:wsgi()"
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from meshcors import asgi as asgi_adapter
from meshcors import wsgi as wsgi_adapter
from meshcors.config import argument, load
from meshcors.errors import PolicyError, Problem
from meshcors.spelling import APP_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def asgi() -> asgi_adapter.ASGIApp:
    """Return the ASGI app that ``MESHCORS_APP`` names, inside the environment's policy.

    A mistake in either ends the process with one line on stderr for each, and exit code 2, or
    gunicorn's own for an app that does not load.
    """
    app, policy = _app_and_policy()
    return asgi_adapter.MeshCORS(app, **policy)


def wsgi() -> WSGIApplication:
    """Return the WSGI app that ``MESHCORS_APP`` names; see `asgi`."""
    app, policy = _app_and_policy()
    return wsgi_adapter.MeshCORS(app, **policy)


def _app_and_policy() -> tuple[Any, dict[str, Any]]:
    try:
        policy = argument(load(None))
        return _named_app(os.environ.get(APP_VARIABLE, "")), policy
    except PolicyError as error:
        # Servers call this at start: an exception would reach the user as their traceback.
        print(f"meshcors: {error}", file=sys.stderr, flush=True)
    # For any other code gunicorn starts its workers anew, for ever.
    gunicorn = sys.modules.get("gunicorn.arbiter")
    raise SystemExit(2 if gunicorn is None else gunicorn.Arbiter.APP_LOAD_ERROR)


def _named_app(name: str) -> Any:
    module_name, _, attributes = name.partition(":")
    if not attributes or not all(module_name.split(".")):
        raise _no_app("app_not_named", name, "write pkg.mod:obj, the app to wrap")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the app itself fails to import is the app's own traceback to show.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise _no_app("app_not_found", name, f"there is no module {error.name}") from None
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
        if found is None:
            raise _no_app("app_not_found", name, f"{module_name} has no {attributes}")
    if not callable(found):
        raise _no_app("app_not_callable", name, "it is no app: it cannot be called")
    return found


def _no_app(code: str, name: str, hint: str) -> PolicyError:
    return PolicyError([Problem(code, APP_VARIABLE, name, hint)])
