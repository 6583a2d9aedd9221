"""Who called: read from the stack, never on the way of a request that goes well.

A layer is known by its arguments, whatever their names: a scope and two callables in ASGI, an
environ and a callable in WSGI.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
from collections.abc import Iterator
from functools import partial
from itertools import islice, pairwise
from types import FrameType
from typing import Any, Final

_ASGI_PARAMETERS: Final = ("scope", "receive", "send")

# Modules and packages whose layers let every exception pass: servers and what they put around an
# app, routers, and instrumentation that only watches.
_TRANSPARENT: Final = (
    *("daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress", "wsgiref"),
    *("fastapi.applications", "flask.app", "quart.app"),
    *("starlette.applications", "starlette.routing"),
    *(f"starlette.middleware.{name}" for name in ("cors", "gzip", "sessions", "trustedhost")),
    "werkzeug.middleware",
    *("opentelemetry.instrumentation", "sentry_sdk"),
)
# What stands between a user's line and ours: copies of a policy are made by these.
_NOT_CALLERS: Final = (
    os.path.join(os.path.dirname(__file__), ""),  # noqa: PTH118, PTH120  # as code objects have it
    dataclasses.__file__,
    copy.__file__,
)


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

    `send` is what that app was called with. A stack that ends in a task of unknown origin counts as
    one with a layer: some layers run what is below in a task of its own.
    """
    runs_in_coroutine = False
    for frame in _outside(inspect.currentframe()):
        if not frame.f_code.co_flags & inspect.CO_COROUTINE:
            continue
        module = _module_of(frame)
        if module == "starlette.middleware.base":  # a task of its own, without the arguments
            return True
        runs_in_coroutine = True
        if not _is_in(module, _TRANSPARENT) and _takes_scope(frame):
            return True
    # daphne runs each request as a task of its own.
    return not runs_in_coroutine and not is_sent_by("daphne", send)


def is_sent_by(package: str, send: Any) -> bool:
    """Tell whether `send` is a function of `package`, or a part of it."""
    return _is_in(_made_by(send), (package,))


def has_wsgi_layer() -> bool:
    """Tell whether somebody outside the WSGI app that asks may answer an exception of its."""
    return any(
        _takes_environ(frame) and not _is_in(_module_of(frame), _TRANSPARENT)
        for frame in _outside(inspect.currentframe())
    )


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _outside(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames outside the one that called the function whose `frame` this is."""
    return islice(_outward(frame), 2, None)


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _takes_scope(frame: FrameType) -> bool:
    arguments = _arguments(frame)
    return any(
        isinstance(scope, dict) and "type" in scope and callable(receive) and callable(send)
        for scope, receive, send in zip(arguments, arguments[1:], arguments[2:], strict=False)
    )


def _takes_environ(frame: FrameType) -> bool:
    arguments = _arguments(frame)
    return any(
        isinstance(environ, dict) and "wsgi.input" in environ and callable(start_response)
        for environ, start_response in pairwise(arguments)
    )


def _arguments(frame: FrameType) -> list[Any]:
    """Return what a function was called with, in order; an argument that it deleted is None."""
    names, rest, more, values = inspect.getargvalues(frame)
    found = [values.get(name) for name in names]
    found += values.get(rest, ()) if rest else ()
    found += values.get(more, {}).values() if more else ()
    return found


def _made_by(function: Any) -> str:
    """Return the name of the module that a function or a method comes from."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__module__", ""))


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def level_of_caller() -> int:
    """Return the ``stacklevel`` that makes `warnings.warn`, in who calls this, name a user's line.

    That is the innermost line outside of this package; Python 3.12 has ``skip_file_prefixes``.
    """
    level = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_CALLERS):
        level += 1
        frame = frame.f_back
    return level
