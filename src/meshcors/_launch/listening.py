"""A process listens only if a known server does, or once one of its apps has the policy.

So a server that nothing hooked, such as waitress or wsgiref's, does not start. Seen is what listens
through Python's `socket`, uvloop and gevent; not seen is what does so in compiled code of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import wraps
from types import FrameType
from typing import Any, Final

from meshcors._launch.refusing import refuse
from meshcors._launch.servers import SERVERS, apps, is_hooked, missed

# Set by ``meshcors run --other-listeners``. Without the prefix of a policy's variables: it is none.
OTHERS_VARIABLE: Final = "_MESHCORS_RUN_OTHER_LISTENERS"

# Python's own channels between the processes of one program.
_BETWEEN_PROCESSES: Final = ("multiprocessing.connection", "multiprocessing.forkserver")


def hook_socket(module: Any) -> None:
    """Check every `listen` on a TCP port or a Unix socket."""
    listen = module.socket.listen
    families = (module.AF_INET, module.AF_INET6, getattr(module, "AF_UNIX", None))

    @wraps(listen)
    def listen_checked(self: Any, *args: Any) -> None:
        if self.family in families:
            name = self.getsockname()
            _check(f"port {name[1]}" if isinstance(name, tuple) else os.fsdecode(name))
        listen(self, *args)

    module.socket.listen = listen_checked


def hook_uvloop(module: Any) -> None:
    """Check what of uvloop listens, which it does without Python's sockets."""
    for name in ("create_server", "create_unix_server"):
        setattr(module.Loop, name, _checked(getattr(module.Loop, name)))


def _checked(create: Any) -> Any:
    @wraps(create)
    def create_checked(*args: Any, **kwargs: Any) -> Any:
        _check("a socket of uvloop")
        return create(*args, **kwargs)

    return create_checked


def _check(where: str) -> None:
    import inspect  # late: it takes time that few processes need to spend

    frame = inspect.currentframe()
    callers = list(_modules(frame and frame.f_back and frame.f_back.f_back))
    if callers and callers[0] in _BETWEEN_PROCESSES:
        return
    package = next(filter(None, map(_server_of, callers)), None)
    if package is not None:
        if not is_hooked(package):
            refuse(missed(package))
    elif not apps and not os.environ.get(OTHERS_VARIABLE):
        *others, last = sorted(SERVERS)
        refuse(
            f"no app has the policy yet, so nothing may listen on {where}: serve the app with"
            f" {', '.join(others)} or {last}; if no app is served there, start this with"
            " meshcors run --other-listeners"
        )


def _modules(frame: FrameType | None) -> Iterator[str]:
    """Yield the module of `frame`, and those of its callers outwards."""
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _server_of(module: str) -> str | None:
    """Return the known server that a module belongs to."""
    package = module.partition(".")[0]
    # Werkzeug is a library too.
    if package in SERVERS and (package != "werkzeug" or module == "werkzeug.serving"):
        return package
    return None
