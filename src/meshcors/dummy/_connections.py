"""A process's connections: how many it may keep open, which it accepts, and which it closes.

Connections beyond the limit wait in the kernel until there is room: for each of them the connection
that has been idle longest is closed. So a process always has descriptors left for its probes and
its file. The event loops' own way is to accept everything that waits at once; when the descriptors
run out, that fails for a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from meshcors.dummy._listen import ListenError
from meshcors.dummy._logs import log
from meshcors.dummy._protocol import ClientConnection

# Without --max-connections, where the limit on open files allows as many.
DEFAULT_MAX_CONNECTIONS: Final = 1000
# For probes, a scrape and a few people.
_MAX_ADMIN_CONNECTIONS: Final = 64
# Descriptors that no connection may take: listeners, the event loop, files that are read, and
# connections that are being closed.
_RESERVED_FILES: Final = 26

# Seconds until the next attempt, after the system has refused to open a connection.
_RETRY_AFTER: Final = 0.1


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


class Acceptor:
    """Accepts connections on `listeners`, and keeps at most `limit` of them open.

    `connect` makes a connection, which adds itself to `connections` when it is opened and removes
    itself when it is closed; the longest idle one is the first.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        limit: int,
        connections: OrderedDict[ClientConnection, None],
        connect: Callable[[], ClientConnection],
    ) -> None:
        self._listeners = listeners
        self._limit = limit
        self._connections = connections
        self._connect = connect
        self._opening: set[asyncio.Task[Any]] = set()
        # The connection that is being closed to make room.
        self._leaving: ClientConnection | None = None
        self._closed = 0

    def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            listener.setblocking(False)
            loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Stop accepting; the system refuses those that still wait."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()

    def log_closed(self) -> None:
        """Log how many connections were closed to make room since the last call, if any."""
        if self._closed:
            log(
                logging.WARNING,
                "closed the longest idle connections to make room for new ones",
                count=self._closed,
                max_connections=self._limit,
            )
            self._closed = 0

    def _accept(self, listener: socket.socket) -> None:
        """Accept one waiting connection; the event loop calls again as long as any waits."""
        loop = asyncio.get_running_loop()
        if len(self._connections) + len(self._opening) > self._limit:
            # There is one more than may stay. Wait until one of them is closed.
            return
        try:
            connected, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            # Another process was quicker, or the client has gone.
            return
        except OSError as error:
            log(logging.ERROR, f"cannot accept a connection: {error.strerror}")
            self._make_room()
            loop.remove_reader(listener)
            loop.call_later(_RETRY_AFTER, self._resume, listener)
            return
        connected.setblocking(False)
        self._opening.add(loop.create_task(self._open(connected)))

    def _resume(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def _open(self, connected: socket.socket) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(self._connect, connected)
        except OSError:
            # The client has gone already.
            connected.close()
        finally:
            self._opening.discard(asyncio.current_task())
        if len(self._connections) > self._limit:
            self._make_room()

    def _make_room(self) -> None:
        if not self._connections or (self._leaving and self._leaving in self._connections):
            return
        self._leaving = next(iter(self._connections))
        # Not close(): that would wait for a client that may never read its last answer.
        self._leaving.transport.abort()
        self._closed += 1
