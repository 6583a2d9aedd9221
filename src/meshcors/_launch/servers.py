"""The servers that ``meshcors run`` knows, the versions it knows, and where it takes hold of them.

A server is hooked module by module, as they are imported. A version out of its bounds, or a place
that is gone, ends the process there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

from meshcors._launch.refusing import refuse


class KnownServer(NamedTuple):
    """A server: the versions that are known, from `first` and before `end`, and its hooks.

    `hooks` are functions of a module of this package, by the server's module that they get.
    """

    first: tuple[int, ...]
    end: tuple[int, ...]
    hooks: Mapping[str, str]


SERVERS: Final = {
    "granian": KnownServer(
        (2, 0),
        (3,),
        {
            "granian.asgi": "hook_asgi",
            "granian.wsgi": "hook_wsgi",
            "granian.rsgi": "hook_rsgi",
            "granian.server": "check_server",
            "granian.server.embed": "check_embedded",
            "granian": "check_hooked",
        },
    ),
    "gunicorn": KnownServer((22,), (28,), {"gunicorn.workers.base": "hook_worker"}),
    "hypercorn": KnownServer(
        (0, 17),
        (1,),
        {
            "hypercorn.utils": "hook_utils",
            "hypercorn.asyncio.run": "hook_run",
            "hypercorn.trio.run": "hook_run",
        },
    ),
    "uvicorn": KnownServer(
        (0, 30), (1,), {"uvicorn.config": "hook_config", "uvicorn.server": "hook_server"}
    ),
    "werkzeug": KnownServer((3, 0), (4,), {"werkzeug.serving": "hook_serving"}),
}
# Not servers: what every server in Python listens with, and what starts other processes. By the
# module: the module of this package, and its function.
_AROUND: Final = {
    "socket": ("listening", "hook_socket"),
    "uvloop": ("listening", "hook_uvloop"),
    "gevent.socket": ("listening", "hook_socket"),
    "subprocess": ("handing_on", "hook_subprocess"),
    "multiprocessing.util": ("handing_on", "hook_multiprocessing"),
}

WATCHED: Final = (*_AROUND, *(name for each in SERVERS.values() for name in each.hooks))

# Of this process: the modules that have been hooked, and the kinds of apps that have the policy.
hooked: Final[set[str]] = set()
apps: Final[set[str]] = set()


def hook(module: Any) -> None:
    """Take hold of a watched module that has just been imported; ends the process if it cannot."""
    name: str = module.__name__
    package = name.partition(".")[0]
    if name in _AROUND:
        home, function = _AROUND[name]
    else:
        _check_version(package)
        home, function = f"{package}_hooks", SERVERS[package].hooks[name]
    try:
        getattr(import_module(f"meshcors._launch.{home}"), function)(module)
    except Exception as error:
        what = missed(package) if package in SERVERS else f"{name} is not what was expected"
        refuse(f"{what} ({name}: {error})")
    hooked.add(name)


def missed(package: str) -> str:
    """Return what to say of a server that does not take its app from where the hooks are."""
    text = _version_text(package)
    return f"cannot put the policy around the app of {package} {text}, so it is not started"


def is_hooked(package: str) -> bool:
    """Tell whether a server's app must have come through the hooks."""
    return any(name in hooked for name in SERVERS[package].hooks)


def _check_version(package: str) -> None:
    text = _version_text(package)
    found = re.match(r"\d+(\.\d+)*", text)
    version = tuple(map(int, found[0].split("."))) if found else ()
    known = SERVERS[package]
    if not known.first <= version < known.end:
        bounds = f"from {_dotted(known.first)} on and before {_dotted(known.end)}"
        refuse(f"{package} {text} is not started: install a version {bounds}")


def _version_text(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "of an unknown version"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
