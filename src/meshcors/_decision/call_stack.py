"""Finds out who called the middleware, by looking at the stack. Never done for successful requests.

Doubt fails closed: any unknown code between the middleware and a known server may be a layer that
answers exceptions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, Final

_ASGI_PARAMETERS: Final = ("scope", "receive", "send")

# Modules and packages outside an app that never answer exceptions: wrappers of servers, routers,
# and instrumentation.
_TRANSPARENT: Final = (
    *("fastapi.applications", "flask.app", "quart.app"),
    *("starlette.applications", "starlette.routing"),
    *(f"starlette.middleware.{name}" for name in ("cors", "gzip", "sessions", "trustedhost")),
    *("uvicorn.middleware", "waitress.proxy_headers", "werkzeug.middleware", "wsgiref.validate"),
    *("opentelemetry", "sentry_sdk"),
)
# Servers, and clients that act as one: they log an exception and answer it with a bare 500.
_SERVERS: Final = (
    *("granian", "gunicorn", "hypercorn", "uvicorn", "waitress", "wsgiref"),
    *("werkzeug.serving", "werkzeug.test", "starlette.testclient", "httpx", "httpx2"),
)
# Servers that run an app in a task of its own, recognized by the `send` that they pass.
_TASK_MAKERS: Final = ("daphne", "starlette.testclient")
_OURS: Final = ("meshcors.asgi._middleware", "meshcors.wsgi")
# The outermost frames of a task: no app is called from outside of these.
_LOOPS: Final = ("anyio", "asyncio")


def serves_now() -> bool:
    """Return whether an ASGI app is being called further out on this stack.

    So it is where a framework creates its middleware on the first call, as Starlette does.
    """
    for frame in _outward(inspect.currentframe()):
        code = frame.f_code
        parameters = code.co_varnames[: code.co_argcount]
        if code.co_flags & inspect.CO_COROUTINE and parameters[-3:] == _ASGI_PARAMETERS:
            return True
    return False


def has_asgi_layer(send: Any) -> bool:
    """Return whether a layer outside the calling ASGI app may answer its exceptions.

    `send` is the callable that the app was called with.
    """
    nearest = next(_layers(inspect.currentframe()), None)
    if nearest is None or _is_in(_module_of(nearest), _LOOPS):
        return not any(is_sent_by(package, send) for package in _TASK_MAKERS)
    return not _is_in(_module_of(nearest), _SERVERS)


def is_sent_by(package: str, send: Any) -> bool:
    """Return whether `send` is a function of `package` or its submodules."""
    return _is_in(_made_by(send), (package,))


def has_wsgi_layer() -> bool:
    """Return whether a layer outside the calling WSGI app may answer its exceptions.

    A server that is not written in Python, such as uWSGI, is not on the stack.
    """
    nearest = next(_layers(inspect.currentframe()), None)
    return nearest is not None and not _is_in(_module_of(nearest), _SERVERS)


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _layers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames outside the app that called `frame` which may answer its exceptions."""
    for outer in islice(_outward(frame), 2, None):
        module = _module_of(outer)
        # Another of our middlewares that does not handle this request never answers.
        passes = module in _OURS and outer.f_locals.get("decision") is None
        if not passes and not _is_in(module, _TRANSPARENT):
            yield outer


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _made_by(function: Any) -> str:
    """Return the name of the module that defines a function or method."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__module__", ""))


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
