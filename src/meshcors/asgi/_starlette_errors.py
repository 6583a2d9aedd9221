"""Starlette's error protocol: who answers an exception, and how the CORS fields get onto it.

Starlette and FastAPI answer exceptions through handlers outside the user's middleware. So when an
exception passes `MeshCORS`, the handlers of the app that serves the request are wrapped: their
answer to that exception gets the CORS fields. Status, body, order and number of calls stay what
they were. Apps of other frameworks are left alone.

Nothing of Starlette is imported: without its modules loaded, no app is one of Starlette's. All of
it runs after an exception only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any, Final, NamedTuple, TypeAlias

from meshcors._decision.answers import Proceed
from meshcors.asgi._messages import Receive, Scope, Send, merging

_Handler: TypeAlias = Callable[[Any, Exception], Any]
# Who would answer an exception: the scope's "app" and its `HANDLER_TABLES`.
OuterHandlers: TypeAlias = tuple[Any, Any]

# The key of a scope under which Starlette keeps the tables of its handlers.
HANDLER_TABLES: Final = "starlette.exception_handlers"
# The key of a scope under which `_Passed` is kept.
_PASSED: Final = "meshcors.passed"
# The attribute that marks a wrapped handler.
_WRAPPED: Final = "_meshcors_wrapped"
# How many exceptions of a chain, each raised while another was handled, are looked at.
_LONGEST_CHAIN: Final = 16
# How many layers are looked through for Starlette's outermost one.
_MOST_LAYERS: Final = 32


class _Passed(NamedTuple):
    """An exception that has passed the middleware, kept in the request's scope.

    Nothing is stored on the exception itself: it may be frozen, or raised for several requests.
    """

    error: Exception
    proceed: Proceed


def add_fields_to_answer(
    error: Exception, proceed: Proceed, scope: Scope, outer: OuterHandlers
) -> None:
    """Have Starlette's answer to `error` carry the CORS fields of `proceed`.

    `scope` is the request's own, not a copy: the handlers see it. `outer` was read on entry, as
    apps below may change the scope.
    """
    app, tables = outer
    starlette = sys.modules.get("starlette.applications")
    if starlette is None or not isinstance(app, starlette.Starlette):
        return
    scope[_PASSED] = _Passed(error, proceed)
    layer = _server_error_layer(app)
    if layer is not None:
        layer.handler = _wrapped(layer.handler or partial(_default_answer, layer))
    for table in tables or ():
        for key, handler in table.items():
            table[key] = _wrapped(handler)


def _server_error_layer(app: Any) -> Any:
    """Return the layer of a Starlette `app` that answers what no other layer has answered."""
    kind = sys.modules["starlette.middleware.errors"].ServerErrorMiddleware
    layer = app.middleware_stack
    for _ in range(_MOST_LAYERS):
        if layer is None or isinstance(layer, kind):
            return layer
        layer = getattr(layer, "app", None)
    return None


async def _default_answer(layer: Any, request: Any, error: Exception) -> Any:
    return layer.error_response(request, error)


def _wrapped(handler: _Handler) -> _Handler:
    """Return a handler that answers as `handler` does, with the CORS fields where they belong."""
    if isinstance(handler, FunctionType) and hasattr(handler, _WRAPPED):
        return handler
    if _is_async(handler):

        async def answer_async(connection: Any, error: Exception) -> Any:
            return _merging(await handler(connection, error), connection, error)

        wrapped: _Handler = answer_async
    else:

        def answer(connection: Any, error: Exception) -> Any:
            return _merging(handler(connection, error), connection, error)

        wrapped = answer
    setattr(wrapped, _WRAPPED, True)
    return wrapped


def _merging(response: Any, connection: Any, error: Exception) -> Any:
    """Return `response`, with the CORS fields if it answers the exception that has passed."""
    passed: _Passed | None = connection.scope.get(_PASSED)
    if passed is None or response is None or not _comes_from(error, passed.error):
        return response
    proceed = passed.proceed

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, merging(send, proceed.merge_raw, []))
        # The exception's traceback refers to the scope: this breaks the cycle, so that both are
        # freed without the garbage collector.
        connection.scope.pop(_PASSED, None)

    return respond


def _comes_from(error: BaseException | None, first: Exception) -> bool:
    """Tell whether `error` is the exception `first`, or was raised from it."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return False
        if error is first:
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_async(handler: Any) -> bool:
    """Tell whether Starlette awaits `handler`, rather than run it in a thread."""
    while isinstance(handler, partial):
        handler = handler.func
    return iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__)
