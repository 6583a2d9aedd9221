"""Who called: read from the stack, never on the way of a request that goes well."""

from __future__ import annotations

import inspect

_ASGI_PARAMETERS = ("scope", "receive", "send")


def serves_now() -> bool:
    """Tell whether an ASGI app is being called, further out on this stack.

    Frameworks that make their middleware with the first call, as Starlette does, make it there.
    """
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        parameters = code.co_varnames[: code.co_argcount]
        if code.co_flags & inspect.CO_COROUTINE and parameters[-3:] == _ASGI_PARAMETERS:
            return True
        frame = frame.f_back
    return False
