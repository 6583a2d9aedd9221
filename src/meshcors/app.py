"""Ready-made apps: they answer preflights, and tell a real request readably why nobody serves it.

The whole of it is the middleware around an app that serves nothing. Frameworks are imported when an
app is made, never when this module is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from meshcors import asgi, wsgi
from meshcors.answers import NO_ROUTE, Answer
from meshcors.config import argument, resolve
from meshcors.policy import Policy
from meshcors.rule_engine import NO_RULE
from meshcors.rules import Rule, RuleSet

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from starlette.applications import Starlette


class _ASGIOnly(asgi.MeshCORS):
    _uncovered: ClassVar[Answer | None] = NO_RULE


class _WSGIOnly(wsgi.MeshCORS):
    _uncovered: ClassVar[Answer | None] = NO_RULE


def create_app(
    policy: Policy | None = None, *, rules: RuleSet | Iterable[Rule] | None = None
) -> Starlette:
    """Return a Starlette app that answers preflights by `policy`, or by `rules`.

    A real request gets 401 ``key_missing`` or 404 ``no_route``, both readable by the page that sent
    it. The key is checked for presence only: which values are right is what the services know.
    A URL that no rule covers gets 404 ``no_rule``, without CORS. Routes of your own may be added.
    Without a policy and rules the ``MESHCORS_*`` environment is read. Raises `PolicyError`.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    app = Starlette(middleware=[Middleware(_ASGIOnly, **_settle(policy, rules))])
    app.router.default = no_route
    return app


def create_wsgi_app(
    policy: Policy | None = None, *, rules: RuleSet | Iterable[Rule] | None = None
) -> WSGIApplication:
    """Return the WSGI app, on Werkzeug, that answers as `create_app` does. Raises `PolicyError`."""
    from werkzeug.wrappers import Response

    no_service = Response(NO_ROUTE.body, NO_ROUTE.status, list(NO_ROUTE.headers))
    return _WSGIOnly(no_service, **_settle(policy, rules))


async def no_route(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    """Answer 404 ``no_route`` to whatever arrives: the ASGI app that serves nothing."""
    if scope["type"] == "websocket":
        await asgi.refuse_websocket(NO_ROUTE, scope, receive, send)
    else:
        await asgi.send_answer(NO_ROUTE, scope, send)


def _settle(policy: Policy | None, rules: RuleSet | Iterable[Rule] | None) -> dict[str, Any]:
    return argument(resolve(policy, rules, {}).without_key_values())
