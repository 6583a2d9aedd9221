"""An exception that passes the ASGI middleware: who outside answers it, and with our fields.

Where nobody outside would answer, `MeshCORS` does. Everywhere else the exception passes as if the
middleware were not there. Starlette and FastAPI answer through handlers: those of the app that
serves are wrapped, so that the answer to an exception that has passed gets the CORS fields. Their
status, body, order and number of calls stay what they were.

Nothing here runs on the way of a request that goes well, and no framework is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final, NamedTuple, TypeAlias

from meshcors.answers import Proceed
from meshcors.headers import collect
from meshcors.preflight import MAX_LIST_BYTES

_Scope: TypeAlias = MutableMapping[str, Any]
_Message: TypeAlias = MutableMapping[str, Any]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_Handler: TypeAlias = Callable[[Any, Exception], Any]

# The attribute of an exception that has passed, and of a handler that is wrapped.
_PASSED: Final = "_meshcors_passed"
_WRAPPED: Final = "_meshcors_wrapped"
_ORIGIN: Final = frozenset({b"origin"})
# How many exceptions, each raised while another was handled, are looked at.
_LONGEST_CHAIN: Final = 16
# How many layers outside Starlette's outermost one are looked through.
_MOST_LAYERS: Final = 32


class Passed(NamedTuple):
    """What an exception tells, once it has passed, of the request that it belongs to.

    `origin` is its Origin field, b"" for none: an exception object that is raised twice must never
    carry what one origin may read to another.
    """

    origin: bytes
    proceed: Proceed

    def merging(self, scope: _Scope, send: _Send) -> _Send:
        """Return a `send` that merges the CORS fields in, if `scope` is of the same origin."""
        if origin_of(collect(scope.get("headers", ()), _ORIGIN, MAX_LIST_BYTES)) != self.origin:
            return send

        def send_merged(message: _Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                merged = self.proceed.merge_raw(message.get("headers", ()))
                message = {**message, "headers": merged}
            return send(message)

        return send_merged

    def __repr__(self) -> str:
        return "<passed meshcors>"


def origin_of(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the Origin among a request's `fields`, b"" for none."""
    return fields.get(b"origin", b"")


def let_pass(error: Exception, passed: Passed, served_by: Any, handlers: Any) -> None:
    """Make ready that Starlette's answer to `error` gets the CORS fields.

    `served_by` and `handlers` are what the scope had, when the request came, as ``app`` and as
    ``starlette.exception_handlers``. For other frameworks nothing is done.
    """
    starlette = sys.modules.get("starlette.applications")
    if starlette is None or not isinstance(served_by, starlette.Starlette):
        return
    setattr(error, _PASSED, passed)
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
    if hasattr(handler, _WRAPPED):
        return handler
    if _is_async(handler):

        async def answer_async(connection: Any, error: Exception) -> Any:
            return _with_fields(await handler(connection, error), error)

        wrapped: _Handler = answer_async
    else:

        def answer(connection: Any, error: Exception) -> Any:
            return _with_fields(handler(connection, error), error)

        wrapped = answer
    setattr(wrapped, _WRAPPED, True)
    return wrapped


def _with_fields(response: Any, error: Exception) -> Any:
    passed = _passed_in(error)
    if passed is None or response is None:
        return response

    async def respond(scope: _Scope, receive: Any, send: _Send) -> None:
        await response(scope, receive, passed.merging(scope, send))

    return respond


def _passed_in(error: BaseException | None) -> Passed | None:
    """Return what `error` tells, or the exception that it was raised from."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return None
        passed: Passed | None = getattr(error, _PASSED, None)
        if passed is not None:
            return passed
        error = error.__cause__ or error.__context__
    return None


def _is_async(handler: Any) -> bool:
    """Tell whether Starlette awaits `handler`, rather than run it in a thread."""
    while isinstance(handler, partial):
        handler = handler.func
    return iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__)
