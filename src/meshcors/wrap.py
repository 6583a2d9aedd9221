"""Whole apps to hand to a server: ready-made ones, and one that the environment names.

`create_app` and `create_wsgi_app` return a ready-made app: it answers preflights, and either puts a
service behind the policy or answers real requests itself, with the reason why no service does.

`asgi` and `wsgi` wrap an app that you cannot change. ``MESHCORS_APP`` names it (``pkg.mod:app``) or
the function that makes it (``pkg.mod:create_app()``), and the other ``MESHCORS_*`` variables are
its policy::

    uvicorn --factory meshcors.wrap:asgi
    gunicorn "meshcors.wrap:wsgi()"

Frameworks are imported when an app is made, not when this module is imported.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from meshcors import asgi as asgi_adapter
from meshcors import wsgi as wsgi_adapter
from meshcors._decision.answers import NO_ROUTE
from meshcors._decision.app_kind import is_asgi, is_wsgi
from meshcors._decision.observation import Observer
from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.rules import Rule, RuleSet
from meshcors.asgi._messages import refuse_websocket, send_answer
from meshcors.config._replaceable import ReplaceablePolicy
from meshcors.config._resolving import argument, resolve

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from starlette.applications import Starlette

__all__ = ["asgi", "create_app", "create_wsgi_app", "wsgi"]

# --- ready-made apps --------------------------------------------------------------------------


@overload
def create_app(
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    observer: Observer | None = None,
    app: None = None,
) -> Starlette: ...
@overload
def create_app(
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    observer: Observer | None = None,
    app: asgi_adapter.ASGIApp,
) -> asgi_adapter.MeshCORS: ...
def create_app(
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    observer: Observer | None = None,
    app: asgi_adapter.ASGIApp | None = None,
) -> Starlette | asgi_adapter.MeshCORS:
    """Return an ASGI app that answers preflights by `policy`, or by `rules`.

    With a service `app` behind it, any ASGI app, it does what `MeshCORS` around that app does: it
    checks the key and its values, and the service answers.

    Without one it is a Starlette app, and a real request gets 401 ``key_missing``, 403
    ``key_unknown`` or 404 ``no_route``, all readable by the page that sent it. Routes and mounts
    that you add to it are served behind the same check.

    A URL that no rule covers gets 404 ``no_rule``, without CORS. Without a policy and rules the
    ``MESHCORS_*`` environment is read. A `ReplaceablePolicy` may change what it answers by later.

    Raises `PolicyError` for an invalid policy, and `TypeError` for a WSGI app.
    """
    source: dict[str, Any] = {**argument(resolve(policy, rules, {})), "observer": observer}
    if app is not None:
        return _Service(app, **source)
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    made = Starlette(middleware=[Middleware(_WithoutService, **source)])
    made.router.default = _no_route
    return made


def create_wsgi_app(
    policy: Policy | ReplaceablePolicy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    observer: Observer | None = None,
    app: WSGIApplication | None = None,
) -> WSGIApplication:
    """Return the WSGI app that answers as `create_app` does, with the service `app` or without.

    Raises `PolicyError` for an invalid policy, and `TypeError` for an ASGI app.
    """
    source: dict[str, Any] = {**argument(resolve(policy, rules, {})), "observer": observer}
    if app is not None:
        return _ServiceWSGI(app, **source)
    from werkzeug.wrappers import Response

    no_route = Response(NO_ROUTE.body, NO_ROUTE.status, list(NO_ROUTE.headers))
    return _WithoutServiceWSGI(no_route, **source)


class _Service(asgi_adapter.MeshCORS):
    """A URL that no rule covers is refused, whatever the rules say."""

    _refuses_uncovered = True


class _ServiceWSGI(wsgi_adapter.MeshCORS):
    """The same in WSGI."""

    _refuses_uncovered = True


class _WithoutService(_Service):
    """As in the pod, a key without values causes no warning, because there is no service."""

    _serves = False


class _WithoutServiceWSGI(_ServiceWSGI):
    """The same in WSGI."""

    _serves = False


async def _no_route(
    scope: asgi_adapter.Scope, receive: asgi_adapter.Receive, send: asgi_adapter.Send
) -> None:
    """Answer 404 ``no_route`` to every request."""
    if scope["type"] == "websocket":
        await refuse_websocket(NO_ROUTE, scope, receive, send)
    else:
        await send_answer(NO_ROUTE, scope["method"], send)


# --- an app that the environment names --------------------------------------------------------


def asgi() -> asgi_adapter.ASGIApp:
    """Return the ASGI app that ``MESHCORS_APP`` names, inside the environment's policy.

    A mistake in either ends the process with one line on stderr for each, and exit code 2; under
    gunicorn with its own code for an app that does not load.
    """
    app, policy = _app_and_policy(_ASGI)
    return asgi_adapter.MeshCORS(app, **policy)


def wsgi() -> WSGIApplication:
    """Return the WSGI app that ``MESHCORS_APP`` names; see `asgi`."""
    app, policy = _app_and_policy(_WSGI)
    return wsgi_adapter.MeshCORS(app, **policy)


class _Interface(NamedTuple):
    """What a server passes to an app, and how to recognize an app of the other interface."""

    parameters: tuple[str, ...]
    is_other: Callable[[Any], bool]
    hint_for_other: str


_ASGI: Final = _Interface(
    ("scope", "receive", "send"), is_wsgi, "this is a WSGI app: serve it with meshcors.wrap:wsgi()"
)
_WSGI: Final = _Interface(
    ("environ", "start_response"), is_asgi, "this is an ASGI app: serve it with meshcors.wrap:asgi"
)


def _app_and_policy(interface: _Interface) -> tuple[Any, dict[str, Any]]:
    from meshcors.config._loading import load
    from meshcors.config._options import APP_VARIABLE

    try:
        policy = argument(load(None))
        return _named_app(os.environ.get(APP_VARIABLE, ""), interface), policy
    except PolicyError as error:
        # Servers call this at start: an exception would reach the user as their traceback.
        print(f"meshcors: {error}", file=sys.stderr, flush=True)
    # With any other code gunicorn would restart its workers forever.
    gunicorn = sys.modules.get("gunicorn.arbiter")
    raise SystemExit(2 if gunicorn is None else gunicorn.Arbiter.APP_LOAD_ERROR)


def _named_app(name: str, interface: _Interface) -> Any:
    """Return the app that `name` names.

    A name that leads nowhere may be a secret in the wrong variable: a problem shows only the part
    that was found.
    """
    module_name, _, attributes = name.partition(":")
    path = attributes.removesuffix("()")
    if not path or not all(module_name.split(".")):
        raise _no_app("app_not_named", "", "write pkg.mod:app, or pkg.mod:create_app()")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        # If the app itself fails to import a module, the user needs its own traceback.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        parent = error.name.rpartition(".")[0]
        hint = "it has no such module" if parent else "there is no such module"
        raise _no_app("app_not_found", parent, hint) from None
    for attribute in path.split("."):
        found = getattr(found, attribute, None)
        if found is None:
            raise _no_app("app_not_found", module_name, "it has no such object")
    if path != attributes:
        if not _takes(found):
            raise _no_app("app_not_factory", name, f"{path} cannot be called without arguments")
        found = found()
    if not callable(found):
        raise _no_app("app_not_callable", name, "this is not an app: it cannot be called")
    if interface.is_other(found):
        raise _no_app("app_not_app", name, interface.hint_for_other)
    if not _takes(found, *interface.parameters) or _wraps_factory(found, *interface.parameters):
        reason = f"this is not an app: it does not take ({', '.join(interface.parameters)})"
        factory = path == attributes and _takes(found)
        hint = f"; if it makes one, write {module_name}:{path}()" if factory else ""
        raise _no_app("app_not_app", name, reason + hint)
    return found


def _takes(found: Any, *parameters: str) -> bool:
    """Tell whether `found` can be called with as many positional arguments as `parameters`."""
    if not callable(found):
        return False
    try:
        # What is called may take other arguments than the function that it wraps.
        inspect.signature(found, follow_wrapped=False).bind(*parameters)
    except TypeError:
        return False
    except ValueError:
        # A function written in C may have no signature: the call will show.
        return True
    return True


def _wraps_factory(found: Any, *parameters: str) -> bool:
    """Tell whether `found` is a decorated function that takes no arguments, and so makes an app."""
    try:
        wrapped = inspect.signature(found)
        wrapped.bind()
    except (TypeError, ValueError):
        return False
    try:
        wrapped.bind(*parameters)
    except TypeError:
        return True
    return False


def _no_app(code: ProblemCode, name: str, hint: str) -> PolicyError:
    from meshcors.config._options import APP_VARIABLE

    return PolicyError([Problem(code, APP_VARIABLE, name, hint)])
