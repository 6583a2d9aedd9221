"""Who called: read from the stack, never on the way of a request that goes well.

Doubt fails closed: any code between us and a known server may be a layer that answers exceptions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, Final

_ASGI_PARAMETERS: Final = ("scope", "receive", "send")

# Modules and packages, outside of an app, that let every exception pass: what servers put around an
# app, routers, and instrumentation that only watches.
_TRANSPARENT: Final = (
    *("fastapi.applications", "flask.app", "quart.app"),
    *("starlette.applications", "starlette.routing"),
    *(f"starlette.middleware.{name}" for name in ("cors", "gzip", "sessions", "trustedhost")),
    *("uvicorn.middleware", "waitress.proxy_headers", "werkzeug.middleware", "wsgiref.validate"),
    *("opentelemetry", "sentry_sdk"),
)
# Servers, and clients that stand for one: they log an exception and answer it with a bare 500.
_SERVERS: Final = (
    *("granian", "gunicorn", "hypercorn", "uvicorn", "waitress", "wsgiref"),
    *("werkzeug.serving", "werkzeug.test", "starlette.testclient", "httpx", "httpx2"),
)
# Those that run an app as a task of its own, known by the `send` that they pass.
_TASK_MAKERS: Final = ("daphne", "starlette.testclient")
_OURS: Final = ("meshcors.asgi._middleware", "meshcors.wsgi")
# Where a task ends: what is outside of these called no app.
_LOOPS: Final = ("anyio", "asyncio")


def serves_now() -> bool:
    """Tell whether an ASGI app is being called, further out on this stack.

    Frameworks that make their middleware with the first call, as Starlette does, make it there.
    """
    for frame in _outward(inspect.currentframe()):
        code = frame.f_code
        parameters = code.co_varnames[: code.co_argcount]
        if code.co_flags & inspect.CO_COROUTINE and parameters[-3:] == _ASGI_PARAMETERS:
            return True
    return False


def has_asgi_layer(send: Any) -> bool:
    """Tell whether somebody outside the ASGI app that asks may answer an exception of its.

    `send` is what that app was called with.
    """
    nearest = next(_layers(inspect.currentframe()), None)
    if nearest is None or _is_in(_module_of(nearest), _LOOPS):
        return not any(is_sent_by(package, send) for package in _TASK_MAKERS)
    return not _is_in(_module_of(nearest), _SERVERS)


def is_sent_by(package: str, send: Any) -> bool:
    """Tell whether `send` is a function of `package`, or a part of it."""
    return _is_in(_made_by(send), (package,))


def has_wsgi_layer() -> bool:
    """Tell whether somebody outside the WSGI app that asks may answer an exception of its.

    Nobody is outside where a server is that is no Python, as uWSGI.
    """
    nearest = next(_layers(inspect.currentframe()), None)
    return nearest is not None and not _is_in(_module_of(nearest), _SERVERS)


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _layers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield what is outside the app that called the function of `frame`, and may answer."""
    for outer in islice(_outward(frame), 2, None):
        module = _module_of(outer)
        # Ours, where it has nothing to do with the request, only passes.
        passes = module in _OURS and outer.f_locals.get("decision") is None
        if not passes and not _is_in(module, _TRANSPARENT):
            yield outer


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _made_by(function: Any) -> str:
    """Return the name of the module that a function or a method comes from."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__module__", ""))


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
