"""Whole apps to hand to a server: ready-made ones, and somebody else's, wrapped without a change.

`create_app` and `create_wsgi_app` answer preflights, and tell a real request why nobody serves it,
or put a service behind the policy. `asgi` and `wsgi` do it by environment alone:
``MESHCORS_APP=pkg.mod:app`` names the app, or ``pkg.mod:create_app()`` what makes it; the other
``MESHCORS_*`` variables are its policy::

    uvicorn --factory meshcors.wrap:asgi
    gunicorn "meshcors.wrap:wsgi()"

Frameworks are imported when an app is made, never when this module is.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

from meshcors import asgi as asgi_adapter
from meshcors import wsgi as wsgi_adapter
from meshcors._decision.answers import NO_ROUTE
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors.asgi._middleware import refuse_websocket, send_answer
from meshcors.config._loading import load
from meshcors.config._resolving import argument, refuse_uncovered, resolve
from meshcors.config._spelling import APP_VARIABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from starlette.applications import Starlette

__all__ = ["asgi", "create_app", "create_wsgi_app", "wsgi"]


@overload
def create_app(
    policy: Policy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    app: None = None,
) -> Starlette: ...
@overload
def create_app(
    policy: Policy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    app: asgi_adapter.ASGIApp,
) -> asgi_adapter.MeshCORS: ...
def create_app(
    policy: Policy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    app: asgi_adapter.ASGIApp | None = None,
) -> Starlette | asgi_adapter.MeshCORS:
    """Return an ASGI app that answers preflights by `policy`, or by `rules`.

    With a service `app` behind it, any ASGI app, a real request is what `MeshCORS` around that app
    makes of it: the key is checked, its values included, and the service runs.

    Without one it is a Starlette app, and a real request gets 401 ``key_missing``, 403
    ``key_unknown`` or 404 ``no_route``, all readable by the page that sent it. Routes and mounts
    that you add to it are served behind the same check.

    A URL that no rule covers gets 404 ``no_rule``, without CORS. Without a policy and rules the
    ``MESHCORS_*`` environment is read. Raises `PolicyError`.
    """
    settled = _settle(policy, rules)
    if app is not None:
        return asgi_adapter.MeshCORS(app, **settled)
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    made = Starlette(middleware=[Middleware(_ServesNothing, **settled)])
    made.router.default = no_route
    return made


def create_wsgi_app(
    policy: Policy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    app: WSGIApplication | None = None,
) -> WSGIApplication:
    """Return the WSGI app that answers as `create_app` does, with the service `app` or without.

    Raises `PolicyError`.
    """
    settled = _settle(policy, rules)
    if app is not None:
        return wsgi_adapter.MeshCORS(app, **settled)
    from werkzeug.wrappers import Response

    nothing = Response(NO_ROUTE.body, NO_ROUTE.status, list(NO_ROUTE.headers))
    return _ServesNothingWSGI(nothing, **settled)


async def no_route(
    scope: asgi_adapter.Scope, receive: asgi_adapter.Receive, send: asgi_adapter.Send
) -> None:
    """Answer 404 ``no_route`` to whatever arrives: the ASGI app that serves nothing."""
    if scope["type"] == "websocket":
        await refuse_websocket(NO_ROUTE, scope, receive, send)
    else:
        await send_answer(NO_ROUTE, scope["method"], send)


class _ServesNothing(asgi_adapter.MeshCORS):
    """As in the pod, a key needs no values: it is all the same which service is not there."""

    _serves = False


class _ServesNothingWSGI(wsgi_adapter.MeshCORS):
    """The same in WSGI."""

    _serves = False


def _settle(policy: Policy | None, rules: RuleSet | Iterable[Rule] | None) -> dict[str, Any]:
    return argument(refuse_uncovered(resolve(policy, rules, {})))


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
