"""Ready-made apps: they answer preflights, and tell a real request readably why nobody serves it.

The whole of it is the middleware around an app that serves nothing, or around a service of yours.
What no rule covers is always refused. Frameworks are imported when an app is made, never when this
module is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

from meshcors import asgi, wsgi
from meshcors.answers import NO_ROUTE
from meshcors.config import argument, refuse_uncovered, resolve
from meshcors.policy import Policy
from meshcors.rules import Rule, RuleSet

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from starlette.applications import Starlette


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
    app: asgi.ASGIApp,
) -> asgi.MeshCORS: ...
def create_app(
    policy: Policy | None = None,
    *,
    rules: RuleSet | Iterable[Rule] | None = None,
    app: asgi.ASGIApp | None = None,
) -> Starlette | asgi.MeshCORS:
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
        return asgi.MeshCORS(app, **settled)
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
        return wsgi.MeshCORS(app, **settled)
    from werkzeug.wrappers import Response

    nothing = Response(NO_ROUTE.body, NO_ROUTE.status, list(NO_ROUTE.headers))
    return _ServesNothingWSGI(nothing, **settled)


async def no_route(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    """Answer 404 ``no_route`` to whatever arrives: the ASGI app that serves nothing."""
    if scope["type"] == "websocket":
        await asgi.refuse_websocket(NO_ROUTE, scope, receive, send)
    else:
        await asgi.send_answer(NO_ROUTE, scope["method"], send)


class _ServesNothing(asgi.MeshCORS):
    """As in the pod, a key needs no values: it is all the same which service is not there."""

    _serves = False


class _ServesNothingWSGI(wsgi.MeshCORS):
    """The same in WSGI."""

    _serves = False


def _settle(policy: Policy | None, rules: RuleSet | Iterable[Rule] | None) -> dict[str, Any]:
    return argument(refuse_uncovered(resolve(policy, rules, {})))
