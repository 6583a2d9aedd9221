"""granian: a worker prepares the app's function for its Rust part in `_callback_wrapper`.

Its public `target_loader` does not know for which interface it loads, and `Server` of
`granian.server.embed` has none. So this is a private place, and what listens is not Python: the
checks are made when granian is imported.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

from meshcors._launch.outermost import around_asgi, around_wsgi
from meshcors._launch.refusing import refuse
from meshcors._launch.servers import hooked, missed

# What `hook_...` put in place.
_OURS = "_meshcors_run"


def hook_asgi(module: Any) -> None:
    """Put the policy around an ASGI app."""
    _prepare(module, around_asgi)


def hook_wsgi(module: Any) -> None:
    """Put the policy around a WSGI app."""
    _prepare(module, around_wsgi)


def hook_rsgi(module: Any) -> None:
    """Refuse an app of granian's own interface, for which there is no middleware."""

    def refuse_rsgi(_: Any) -> Any:
        refuse(
            "granian serves this app over RSGI, for which there is no middleware, so it is not"
            " started: pass --interface asgi, or --interface wsgi"
        )

    _prepare(module, refuse_rsgi)


def check_server(module: Any) -> None:
    """End the process if the server takes its apps from anywhere else."""
    _check(sys.modules[module.Server.__module__], "asgi", "wsgi", "rsgi")


def check_embedded(module: Any) -> None:
    """End the process if the server that an event loop runs does."""
    _check(module, "asgi", "rsgi")


def check_hooked(_: Any) -> None:
    """End the process if granian has come without its server, as it is known."""
    if "granian.server" not in hooked:
        refuse(missed("granian"))


def _check(module: Any, *interfaces: str) -> None:
    for each in interfaces:
        if not hasattr(getattr(module, f"_{each}_call_wrap", None), _OURS):
            refuse(missed("granian"))


def _prepare(module: Any, around: Any) -> None:
    prepare = module._callback_wrapper

    @wraps(prepare)
    def prepare_inside(callback: Any, *args: Any, **kwargs: Any) -> Any:
        return prepare(around(callback), *args, **kwargs)

    setattr(prepare_inside, _OURS, True)
    module._callback_wrapper = prepare_inside
