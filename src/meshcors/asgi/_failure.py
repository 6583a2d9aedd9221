"""An exception that passes the ASGI middleware: who outside answers it, and with our fields.

Where nobody outside would answer, `MeshCORS` does. Everywhere else the exception passes as if the
middleware were not there. Starlette and FastAPI answer through handlers: those of the app that
serves are wrapped, so that the answer to an exception that has passed gets the CORS fields. Their
status, body, order and number of calls stay what they were.

Nothing here runs on the way of a request that goes well, and no framework is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any, Final, NamedTuple, TypeAlias

from meshcors._decision.answers import Proceed

_Scope: TypeAlias = MutableMapping[str, Any]
_Message: TypeAlias = MutableMapping[str, Any]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_Handler: TypeAlias = Callable[[Any, Exception], Any]

# Where in a scope it is told that an exception of the request has passed.
_PASSED: Final = "meshcors.passed"
# The attribute of a handler that is wrapped.
_WRAPPED: Final = "_meshcors_wrapped"
# How many exceptions, each raised while another was handled, are looked at.
_LONGEST_CHAIN: Final = 16
# How many layers outside Starlette's outermost one are looked through.
_MOST_LAYERS: Final = 32


class Passed(NamedTuple):
    """What a request's scope tells of an exception that has passed.

    The exception itself is left alone: it may be frozen, and may be raised for several requests.
    """

    error: Exception
    proceed: Proceed

    def merging(self, send: _Send) -> _Send:
        """Return a `send` that merges the CORS fields into an answer."""

        def send_merged(message: _Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                merged = self.proceed.merge_raw(message.get("headers", ()))
                message = {**message, "headers": merged}
            return send(message)

        return send_merged


def let_pass(
    error: Exception, proceed: Proceed, scope: _Scope, served_by: Any, handlers: Any
) -> None:
    """Make ready that Starlette's answer to `error` gets the CORS fields of `proceed`.

    `scope` is the request's, as it came; `served_by` and `handlers` are what it had then as ``app``
    and as ``starlette.exception_handlers``. For other frameworks nothing is done.
    """
    starlette = sys.modules.get("starlette.applications")
    if starlette is None or not isinstance(served_by, starlette.Starlette):
        return
    scope[_PASSED] = Passed(error, proceed)
    layer = _server_error_layer(served_by)
    if layer is not None:
        layer.handler = _wrapped(layer.handler or partial(_plain, layer))
    for table in handlers or ():
        for key, handler in table.items():
            table[key] = _wrapped(handler)


def _server_error_layer(app: Any) -> Any:
    """Return the layer of a Starlette `app` that answers what nothing else does."""
    kind = sys.modules["starlette.middleware.errors"].ServerErrorMiddleware
    layer = app.middleware_stack
    for _ in range(_MOST_LAYERS):
        if layer is None or isinstance(layer, kind):
            return layer
        layer = getattr(layer, "app", None)
    return None


async def _plain(layer: Any, request: Any, error: Exception) -> Any:
    return layer.error_response(request, error)


def _wrapped(handler: _Handler) -> _Handler:
    """Return a handler that answers as `handler` does, with the CORS fields where they belong."""
    if isinstance(handler, FunctionType) and hasattr(handler, _WRAPPED):
        return handler
    if _is_async(handler):

        async def answer_async(connection: Any, error: Exception) -> Any:
            return _with_fields(await handler(connection, error), connection, error)

        wrapped: _Handler = answer_async
    else:

        def answer(connection: Any, error: Exception) -> Any:
            return _with_fields(handler(connection, error), connection, error)

        wrapped = answer
    setattr(wrapped, _WRAPPED, True)
    return wrapped


def _with_fields(response: Any, connection: Any, error: Exception) -> Any:
    passed: Passed | None = connection.scope.get(_PASSED)
    if passed is None or response is None or not _comes_from(error, passed.error):
        return response

    async def respond(scope: _Scope, receive: Any, send: _Send) -> None:
        await response(scope, receive, passed.merging(send))
        # By its traceback the exception has the scope: together they would wait for the collector.
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
