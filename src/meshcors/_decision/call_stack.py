"""Who called an adapter, read from the call stack: a server, or a layer that answers exceptions.

The stack is read when an exception has been raised or a policy is invalid, never for a request that
goes well. Unknown code between an adapter and the server counts as such a layer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, Final

_ASGI_PARAMETERS: Final = ("scope", "receive", "send")

# Modules and packages that let every exception pass: what servers put around an app, routers, and
# instrumentation that only observes.
_TRANSPARENT: Final = (
    *("fastapi.applications", "flask.app", "quart.app"),
    *("starlette.applications", "starlette.routing"),
    *(f"starlette.middleware.{name}" for name in ("cors", "gzip", "sessions", "trustedhost")),
    *("uvicorn.middleware", "waitress.proxy_headers", "werkzeug.middleware", "wsgiref.validate"),
    *("opentelemetry", "sentry_sdk"),
)
# Servers, and test clients in place of one: they log an exception and answer it with a bare 500.
_SERVERS: Final = (
    *("granian", "gunicorn", "hypercorn", "uvicorn", "waitress", "wsgiref"),
    *("werkzeug.serving", "werkzeug.test", "starlette.testclient", "httpx", "httpx2"),
)
# Servers that run an app as a task of its own; they are known by the `send` that they pass.
_TASK_MAKERS: Final = ("daphne", "starlette.testclient")
_OURS: Final = ("meshcors.asgi._middleware", "meshcors.wsgi")
# Event loops: what is outside of them on the stack called no app.
_LOOPS: Final = ("anyio", "asyncio")


def serves_now() -> bool:
    """Tell whether an ASGI app is being called further out on this stack.

    So it is where a framework makes its middleware with the first call, as Starlette does.
    """
    for frame in _outward(inspect.currentframe()):
        code = frame.f_code
        parameters = code.co_varnames[: code.co_argcount]
        if code.co_flags & inspect.CO_COROUTINE and parameters[-3:] == _ASGI_PARAMETERS:
            return True
    return False


def has_asgi_layer(send: Any) -> bool:
    """Tell whether a layer outside the calling ASGI app may answer an exception.

    `send` is what that app was called with.
    """
    nearest = next(_layers(inspect.currentframe()), None)
    if nearest is None or _is_in(_module_of(nearest), _LOOPS):
        return not any(is_sent_by(package, send) for package in _TASK_MAKERS)
    return not _is_in(_module_of(nearest), _SERVERS)


def is_sent_by(package: str, send: Any) -> bool:
    """Tell whether `send` is a function or method from `package`."""
    return _is_in(_made_by(send), (package,))


def has_wsgi_layer() -> bool:
    """Tell whether a layer outside the calling WSGI app may answer an exception.

    There is none under a server that is not written in Python, such as uWSGI.
    """
    nearest = next(_layers(inspect.currentframe()), None)
    return nearest is not None and not _is_in(_module_of(nearest), _SERVERS)


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _layers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames outside the app that called the function of `frame`, and may answer."""
    for outer in islice(_outward(frame), 2, None):
        module = _module_of(outer)
        # MeshCORS only passes exceptions of requests that its rules do not cover.
        passes = module in _OURS and outer.f_locals.get("decision") is None
        if not passes and not _is_in(module, _TRANSPARENT):
            yield outer


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _made_by(function: Any) -> str:
    """Return the name of the module in which a function or method is defined."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__module__", ""))


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
