"""A process listens on a port only if a known server does, or once an app has its policy.

So a server that nothing hooked, such as waitress or wsgiref's, does not start. Seen is what listens
through Python's `socket` and through uvloop; not seen is what does so in compiled code of its own.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import Any, Final

from meshcors._launch.refusing import refuse
from meshcors._launch.servers import SERVERS, apps, is_hooked, missed

# Set by ``meshcors run --other-listeners``. Without the prefix of a policy's variables: it is none.
OTHERS_VARIABLE: Final = "_MESHCORS_RUN_OTHER_LISTENERS"


def hook_socket(module: Any) -> None:
    """Check every `listen` on a TCP port."""
    listen = module.socket.listen
    families = (module.AF_INET, module.AF_INET6)

    @wraps(listen)
    def listen_checked(self: Any, *args: Any) -> None:
        if self.family in families:
            _check(f"port {self.getsockname()[1]}")
        listen(self, *args)

    module.socket.listen = listen_checked


def hook_uvloop(module: Any) -> None:
    """Check every `create_server` of uvloop, which listens without Python's sockets."""
    create_server = module.Loop.create_server

    def create_server_checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        _check("a port with uvloop")
        return create_server(self, *args, **kwargs)

    module.Loop.create_server = create_server_checked


def _check(port: str) -> None:
    package = _server_on_the_stack()
    if package is not None:
        if not is_hooked(package):
            refuse(missed(package))
    elif not apps and not os.environ.get(OTHERS_VARIABLE):
        known = ", ".join(sorted(SERVERS))
        refuse(
            f"no app has the policy yet, so nothing may listen on {port}: serve the app with"
            f" {known}; if the port serves no app, start this with meshcors run --other-listeners"
        )


def _server_on_the_stack() -> str | None:
    """Return the known server that is about to listen."""
    import inspect  # late: it takes time that few processes need to spend

    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        package = name.partition(".")[0]
        # Werkzeug is a library too.
        if package in SERVERS and (package != "werkzeug" or name == "werkzeug.serving"):
            return package
        frame = frame.f_back
    return None
