"""Somebody else's app, wrapped without touching its code: the app and its policy by environment.

``MESHCORS_APP=pkg.mod:app`` names the app, or ``pkg.mod:create_app()`` what makes it; the other
``MESHCORS_*`` variables are its policy::

    uvicorn --factory meshcors.wrap:asgi
    gunicorn "meshcors.wrap:wsgi()"
"""

from __future__ import annotations

import inspect
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
    app, policy = _app_and_policy(("scope", "receive", "send"))
    return asgi_adapter.MeshCORS(app, **policy)


def wsgi() -> WSGIApplication:
    """Return the WSGI app that ``MESHCORS_APP`` names; see `asgi`."""
    app, policy = _app_and_policy(("environ", "start_response"))
    return wsgi_adapter.MeshCORS(app, **policy)


def _app_and_policy(parameters: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    try:
        policy = argument(load(None))
        return _named_app(os.environ.get(APP_VARIABLE, ""), parameters), policy
    except PolicyError as error:
        # Servers call this at start: an exception would reach the user as their traceback.
        print(f"meshcors: {error}", file=sys.stderr, flush=True)
    # For any other code gunicorn starts its workers anew, for ever.
    gunicorn = sys.modules.get("gunicorn.arbiter")
    raise SystemExit(2 if gunicorn is None else gunicorn.Arbiter.APP_LOAD_ERROR)


def _named_app(name: str, parameters: tuple[str, ...]) -> Any:
    """Return the app that `name` names: one that takes `parameters`.

    What names nothing may be a secret in the wrong variable: a problem shows what was found.
    """
    module_name, _, attributes = name.partition(":")
    path = attributes.removesuffix("()")
    if not path or not all(module_name.split(".")):
        raise _no_app("app_not_named", "", "write pkg.mod:app, or pkg.mod:create_app()")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the app itself fails to import is the app's own traceback to show.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        parent = error.name.rpartition(".")[0]
        where = " in it" if parent else ""
        raise _no_app("app_not_found", parent, f"there is no such module{where}") from None
    for attribute in path.split("."):
        found = getattr(found, attribute, None)
        if found is None:
            raise _no_app("app_not_found", module_name, "there is no such object in it")
    if path != attributes:
        if not _takes(found):
            raise _no_app("app_not_factory", name, f"{path} cannot be called without arguments")
        found = found()
    if not callable(found):
        raise _no_app("app_not_callable", name, "this is not an app: it cannot be called")
    if not _takes(found, *parameters):
        reason = f"this is not an app: it does not take ({', '.join(parameters)})"
        factory = path == attributes and _takes(found)
        hint = f"; if it makes one, write {module_name}:{path}()" if factory else ""
        raise _no_app("app_not_app", name, reason + hint)
    return found


def _takes(found: Any, *parameters: str) -> bool:
    """Tell whether `found` can be called with as many positional arguments as `parameters`."""
    if not callable(found):
        return False
    try:
        inspect.signature(found).bind(*parameters)
    except TypeError:
        return False
    except ValueError:
        # One written in C may have no signature: calling it will tell.
        return True
    return True


def _no_app(code: str, name: str, hint: str) -> PolicyError:
    return PolicyError([Problem(code, APP_VARIABLE, name, hint)])
