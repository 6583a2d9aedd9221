"""Sockets to listen on, and how many connections the limit on open files leaves room for."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

from meshcors._policy.wording import file_label

_BACKLOG: Final = 2048
# Without --max-connections, where the limit on open files allows as many.
DEFAULT_MAX_CONNECTIONS: Final = 1000
# For probes, a scrape and a few people.
_MAX_ADMIN_CONNECTIONS: Final = 64
# Descriptors that no connection may take: listeners, the event loop, files that are read, and
# connections that are being closed.
_RESERVED_FILES: Final = 26


class ListenError(Exception):
    """The pod cannot listen as its flags say; the text is one line for people."""


def listen(host: str | None, port: int, host_flag: str, port_flag: str) -> list[socket.socket]:
    """Return sockets bound to `port` of `host`, or of every interface where `host` is None.

    With port 0 the system chooses one, the same for all sockets. Raises `ListenError`, which names
    the flag at fault: `host_flag` or `port_flag`.
    """
    try:
        if host is None:
            # One socket for IPv4 and IPv6 where the machine has both.
            dual = socket.has_dualstack_ipv6()
            family, every = (socket.AF_INET6, "::") if dual else (socket.AF_INET, "0.0.0.0")  # noqa: S104 - no --host was given
            return [
                socket.create_server(
                    (every, port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual
                )
            ]
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
        with ExitStack() as opened:
            bound: list[socket.socket] = []
            for family, address in dict.fromkeys((info[0], info[4]) for info in found):
                port = port or (bound[0].getsockname()[1] if bound else 0)
                place = (address[0], port, *address[2:])
                listener = socket.create_server(place, family=family, backlog=_BACKLOG)
                bound.append(opened.enter_context(listener))
            opened.pop_all()
            return bound
    except socket.gaierror as error:
        raise ListenError(f"{host_flag}: {host}: {error.strerror}") from None
    except UnicodeError:
        raise ListenError(f"{host_flag}: {host}: not a host name") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"port {port} is taken: free it, or choose another"
            raise ListenError(f"{port_flag}: {hint}") from None
        where = f"{host_flag}: {host}" if host else f"{port_flag}: {port}"
        # The system's own words: those of the error repeat the address.
        raise ListenError(f"{where}: {os.strerror(error.errno or 0)}") from None


def listen_unix(path: str) -> socket.socket:
    """Return a Unix socket bound to `path`; a stale one, that nobody listens on, is replaced.

    Raises `ListenError`.
    """
    try:
        if stat.S_ISSOCK(Path(path).stat().st_mode) and not _is_listened_on(path):
            Path(path).unlink()
    except (OSError, ValueError):
        pass  # bind() reports what is wrong
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        # For a gateway that runs as another user; the directory decides who has access.
        Path(path).chmod(0o666)
        listener.listen(_BACKLOG)
    except (OSError, ValueError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        parts = ("--uds", file_label(path, ""), str(reason))
        raise ListenError(": ".join(part for part in parts if part)) from None
    return listener


def _is_listened_on(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(path) == 0


class ConnectionLimits(NamedTuple):
    """How many connections a process keeps open, on the pod's port and on the admin port."""

    pod: int
    admin: int


def connection_limits(asked: int | None) -> ConnectionLimits:
    """Return the limits for ``--max-connections``, or the default ones where it is not given.

    Raises `ListenError` where the limit on open files is too low for them. Files that are open now
    are counted as in use, so this is called before anything is listened on.
    """
    free = _free_files()
    if free is None:
        return ConnectionLimits(asked or DEFAULT_MAX_CONNECTIONS, _MAX_ADMIN_CONNECTIONS)
    admin = min(_MAX_ADMIN_CONNECTIONS, free // 4)
    most = free - admin
    if most < (asked or 1) or not admin:
        what = f"room for {max(0, most)} connections" if asked else "no room for connections"
        hint = "raise it" if not asked or most < 1 else "raise it, or ask for fewer"
        raise ListenError(f"--max-connections: the limit on open files leaves {what}: {hint}")
    return ConnectionLimits(asked or min(DEFAULT_MAX_CONNECTIONS, most), admin)


def _free_files() -> int | None:
    """Return how many more files connections may open; None where the system has no limit."""
    try:
        import resource
    except ModuleNotFoundError:
        # Windows has no such limit.
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    in_use = 3
    with suppress(OSError):
        in_use = len(list(Path("/dev/fd").iterdir()))
    return limit - in_use - _RESERVED_FILES
