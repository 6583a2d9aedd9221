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
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from meshcors.dummy._listen import ListenError
from meshcors.dummy._logs import log

# Without --max-connections, where the limit on open files allows as many.
DEFAULT_MAX_CONNECTIONS: Final = 1000
# For probes, a scrape and a few people.
_MAX_ADMIN_CONNECTIONS: Final = 64
# Descriptors that no connection may take: listeners, the event loop, files that are read, and
# connections that are being closed.
_RESERVED_FILES: Final = 26

# Seconds until the next attempt, after the system has refused to open a connection.
_RETRY_AFTER: Final = 0.1

# Seconds between two searches for idle connections.
IDLE_INTERVAL: Final = 1.0
# Seconds for a request's head, from its first byte to its last. Envoy and browsers send it in one
# piece: a client that takes longer is holding the connection open.
HEAD_SECONDS: Final = 10.0


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


class Connections(OrderedDict[Any, None]):
    """The open connections, the longest idle first; takes the place of uvicorn's set.

    Its members are uvicorn's protocols. Each moves itself to the end with every answer.
    """

    def add(self, connection: Any) -> None:
        """Add a new connection."""
        self[connection] = None

    def discard(self, connection: Any) -> None:
        """Remove a connection that is closed."""
        self.pop(connection, None)


class Acceptor:
    """Accepts connections on `listeners`, and keeps at most `limit` of them open.

    `make_protocol` makes a protocol, which adds itself to `connections` when it is connected and
    removes itself when it is closed.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        limit: int,
        connections: Connections,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listeners = listeners
        self._limit = limit
        self._connections = connections
        self._make_protocol = make_protocol
        self._opening: set[asyncio.Task[Any]] = set()
        # The connection that is being closed to make room.
        self._leaving: Any = None
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

    def abort_all(self) -> None:
        """Close every connection at once, even with data left to send."""
        for connection in list(self._connections):
            connection.transport.abort()

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
            await loop.connect_accepted_socket(self._make_protocol, connected)
        except OSError:
            # The client has gone already.
            connected.close()
        finally:
            self._opening.discard(asyncio.current_task())
        if len(self._connections) > self._limit:
            self._make_room()

    def _make_room(self) -> None:
        if self._leaving in self._connections or not self._connections:
            return
        self._leaving = next(iter(self._connections))
        # Not close(): that would wait for a client that may never read its last answer.
        self._leaving.transport.abort()
        self._closed += 1


class IdleCloser:
    """Closes connections that wait longer for a whole request than `keep_alive` seconds.

    And those whose request's head has begun but does not end within `HEAD_SECONDS`. It looks at all
    `connections` now and then and compares each with what it was at the last time: this costs
    nothing while a request is served. `connections` are uvicorn's protocols, of either kind.
    """

    def __init__(self, connections: Iterable[Any], keep_alive: float) -> None:
        self._connections = connections
        self._keep_alive = keep_alive
        # By connection: its last request, whether the next one's head has begun, and since when.
        self._seen: dict[Any, tuple[object, bool, float]] = {}

    def __call__(self, now: float) -> None:
        """Look at all connections; `now` is in seconds, of any clock that never goes back."""
        seen: dict[Any, tuple[object, bool, float]] = {}
        for connection in list(self._connections):
            last, in_head = connection.cycle, _in_head(connection)
            limit = min(self._keep_alive, HEAD_SECONDS) if in_head else self._keep_alive
            last_before, in_head_before, since = self._seen.get(connection, (last, in_head, now))
            if last is not last_before or in_head != in_head_before:
                since = now
            transport = connection.transport
            if transport.is_closing():
                # Closed at the last look, and its client still does not read the last answer.
                transport.abort()
            elif now - since >= limit:
                transport.close()
            else:
                seen[connection] = (last, in_head, since)
        self._seen = seen


def _in_head(connection: Any) -> bool:
    """Tell whether a part of a request's head has come, and the rest has not."""
    if hasattr(connection, "conn"):
        # h11: bytes that are not yet a whole request
        return bool(connection.conn.trailing_data[0])
    cycle = connection.cycle
    return connection.scope is not None and (cycle is None or cycle.scope is not connection.scope)
