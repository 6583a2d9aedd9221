"""Sockets to listen on: every interface or one host, a port, or a Unix socket."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from meshcors._policy.wording import file_label

_BACKLOG: Final = 2048


class ListenError(Exception):
    """The pod cannot listen as its flags say; the text is one line for people."""


def listen(host: str | None, port: int, host_flag: str, port_flag: str) -> list[socket.socket]:
    """Return sockets bound to `port` of `host`, or of every interface where `host` is None.

    With port 0 the system chooses one, the same for all sockets. Raises `ListenError`, which names
    the flag at fault: `host_flag` or `port_flag`.
    """
    try:
        if host is None:
            return [_bind_all(port)]
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
        with ExitStack() as opened:
            bound: list[socket.socket] = []
            for family, address in dict.fromkeys((info[0], info[4]) for info in found):
                port = port or (bound[0].getsockname()[1] if bound else 0)
                listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                _bind(listener, (address[0], port, *address[2:]))
                bound.append(listener)
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
        raise ListenError(f"{where}: {error.strerror}") from None


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


def _bind_all(port: int) -> socket.socket:
    """Bind every interface, with one socket for IPv4 and IPv6 where the machine has both."""
    if socket.has_dualstack_ipv6():
        return _bind(_dual_stack(), ("::", port))
    return _bind(socket.socket(socket.AF_INET, socket.SOCK_STREAM), ("0.0.0.0", port))  # noqa: S104 - no --host was given


def _dual_stack() -> socket.socket:
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return listener


def _bind(listener: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        if os.name != "nt":
            # Take a port whose last connections are still closing. On Windows the option would
            # share a port that is in use.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Its connections inherit this: an answer must not wait until the client has the one before.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        # At once: until then another process could bind the same port, and one of the two would
        # fail too late to report it in a line.
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
