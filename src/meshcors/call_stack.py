"""Who called: read from the stack, never on the way of a request that goes well."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
from typing import Final

_ASGI_PARAMETERS = ("scope", "receive", "send")
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
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        parameters = code.co_varnames[: code.co_argcount]
        if code.co_flags & inspect.CO_COROUTINE and parameters[-3:] == _ASGI_PARAMETERS:
            return True
        frame = frame.f_back
    return False


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
