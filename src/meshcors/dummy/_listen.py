"""Sockets to listen on: all interfaces in both families, one host, or a port the system chooses."""

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
    """An address that cannot be listened on; its text is one line for people."""


def listen(host: str | None, port: int, host_flag: str, port_flag: str) -> list[socket.socket]:
    """Return sockets bound to `port` of `host`, or of every interface where `host` is None.

    Port 0 is one that the system chooses, the same for all sockets. The flags are the options that
    chose them, named in the `ListenError` that is raised when an address cannot be had.
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
        raise ListenError(f"{host_flag}: {host}: no host name") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"port {port} is taken: free it, or choose another"
            raise ListenError(f"{port_flag}: {hint}") from None
        where = f"{host_flag}: {host}" if host else f"{port_flag}: {port}"
        raise ListenError(f"{where}: {error.strerror}") from None


def listen_unix(path: str) -> socket.socket:
    """Return a Unix socket bound to `path`; one that nobody listens on any more is replaced.

    Raises `ListenError`.
    """
    try:
        if stat.S_ISSOCK(Path(path).stat().st_mode) and not _is_answered(path):
            Path(path).unlink()
    except (OSError, ValueError):
        pass  # binding says what is wrong
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        # For a gateway that runs as another user; the directory says who may come.
        Path(path).chmod(0o666)
        listener.listen(_BACKLOG)
    except (OSError, ValueError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        parts = ("--uds", file_label(path, ""), str(reason))
        raise ListenError(": ".join(part for part in parts if part)) from None
    return listener


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(path) == 0


def _bind_all(port: int) -> socket.socket:
    """Bind every interface: one socket for both families where the machine has IPv6."""
    if socket.has_dualstack_ipv6():
        return _bind(_dual_stack(), ("::", port))
    return _bind(socket.socket(socket.AF_INET, socket.SOCK_STREAM), ("0.0.0.0", port))  # noqa: S104 - asked for


def _dual_stack() -> socket.socket:
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return listener


def _bind(listener: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        if os.name != "nt":
            # A port whose last connections are still winding down is free; on Windows the option
            # means sharing a port that is in use.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # At once: until then another process could bind the same port, and one of both would fail
        # too late to say so in a line.
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
