"""Whether an app is certainly an ASGI app, or certainly a WSGI app.

This is read from the code of the function that a server would call. Nothing is called, no attribute
of the app is looked up, and the signature that a decorator copies does not count. In case of doubt,
as with ``*args``, a class, a `functools.partial` or code written in C, an app is neither. Our own
middleware says what it is, in `INTERFACE`.
"""

from __future__ import annotations

import inspect
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

# The attribute of our own middleware classes: "asgi" or "wsgi".
INTERFACE: Final = "_meshcors_interface"


def is_asgi(app: Any) -> bool:
    """Tell whether `app` takes ``(scope, receive, send)``, and cannot take two arguments."""
    declared = _declared(app)
    return declared == "asgi" if declared else _takes(app, 3) and not _takes(app, 2)


def is_wsgi(app: Any) -> bool:
    """Tell whether `app` takes ``(environ, start_response)``, and cannot take three arguments."""
    declared = _declared(app)
    return declared == "wsgi" if declared else _takes(app, 2) and not _takes(app, 3)


def name_of(app: Any) -> str:
    """Return how a message calls `app`: by the name of its function or class."""
    named = app if isinstance(app, FunctionType | MethodType) else type(app)
    return named.__qualname__


def _declared(app: Any) -> str | None:
    """Return the interface that a middleware of ours declares; None for any other app."""
    return next(
        (vars(kind)[INTERFACE] for kind in type(app).__mro__ if INTERFACE in vars(kind)), None
    )


def _takes(app: Any, count: int) -> bool:
    """Tell whether `app` can be called with `count` positional arguments; False where unknown."""
    found = _function(app)
    if found is None:
        return False
    function, bound = found
    code: CodeType = function.__code__
    names = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    if not set(names) <= set(function.__kwdefaults__ or ()):
        return False
    most = code.co_argcount - bound
    least = most - len(function.__defaults__ or ())
    return least <= count and (count <= most or bool(code.co_flags & inspect.CO_VARARGS))


def _function(app: Any) -> tuple[FunctionType, int] | None:
    """Return the function that a call of `app` runs, and how many arguments are bound already."""
    if isinstance(app, FunctionType):
        return app, 0
    if isinstance(app, MethodType):
        return (app.__func__, 1) if isinstance(app.__func__, FunctionType) else None
    for kind in type(app).__mro__:
        if "__call__" in vars(kind):
            call = vars(kind)["__call__"]
            return (call, 1) if isinstance(call, FunctionType) else None
    return None
