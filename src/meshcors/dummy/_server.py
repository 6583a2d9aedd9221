"""The server of one port: it accepts connections, closes overdue ones, and shuts down.

Connections beyond the limit wait in the kernel until there is room: for each of them the connection
that has been idle longest is closed. So a process always has descriptors left for its probes and
its file. The event loops' own way is to accept everything that waits at once; when the descriptors
run out, that fails for a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from meshcors.dummy._logs import log
from meshcors.dummy._port import Handler, Port
from meshcors.dummy._protocol import ClientConnection
from meshcors.dummy._wire import date_line

# Seconds until the next attempt, after the system has refused to open a connection.
_RETRY_AFTER: Final = 0.1
# Seconds for requests whose connections were accepted just before the server stopped listening.
_LAST_REQUESTS: Final = 0.1
# Seconds for the last answers. They are ready-made: one that is not sent by then has a client that
# does not read.
_LAST_ANSWERS: Final = 1.0


class Listening(NamedTuple):
    """What is served on `sockets`, with at most `limit` connections open at a time.

    `current` returns the handler of a request that begins now; for `at_once` and `a_turn`
    see `Port`.
    """

    sockets: list[socket.socket]
    limit: int
    current: Callable[[], Handler]
    at_once: int
    a_turn: int


class Server:
    """Serves one port; a connection may stay open for `keep_alive` seconds between requests.

    Made where an event loop runs.
    """

    def __init__(self, listening: Listening, keep_alive: float) -> None:
        self._listeners, self._limit, current, at_once, a_turn = listening
        self._loop = asyncio.get_running_loop()
        self._port = Port(current, self._loop.call_soon, at_once, a_turn)
        # The longest idle one is the first.
        self._connections = self._port.connections
        # With less, connections would be closed that were opened just now.
        self._keep_alive = max(1.0, keep_alive)
        self._opening: set[asyncio.Task[Any]] = set()
        # The connection that is being closed to make room, and how many were since the last tick.
        self._leaving: ClientConnection | None = None
        self._closed = 0

    def start(self) -> None:
        """Begin to accept."""
        self.tick()
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, listener)

    def tick(self) -> None:
        """Tell the time, and close the connections that have waited too long; every second."""
        self._port.now = self._loop.time()
        self._port.date = date_line()
        for connection in list(self._connections):
            connection.close_if_overdue(self._keep_alive)
        if self._closed:
            what = "closed the longest idle connections to make room for new ones"
            log(logging.WARNING, what, count=self._closed, max_connections=self._limit)
            self._closed = 0

    def drain(self) -> None:
        """Close each connection with its next answer from now on."""
        self._port.draining = True

    async def stop(self) -> None:
        """Stop listening, answer what has come, then close; the system refuses what still waits."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        await asyncio.sleep(_LAST_REQUESTS)
        for connection in list(self._connections):
            connection.close()
        for _ in range(50):
            if self._connections:
                await asyncio.sleep(_LAST_ANSWERS / 50)
        for connection in list(self._connections):
            connection.transport.abort()

    def _accept(self, listener: socket.socket) -> None:
        """Accept one waiting connection; the event loop calls again as long as any waits."""
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
            self._loop.remove_reader(listener)
            self._loop.call_later(_RETRY_AFTER, self._resume, listener)
            return
        connected.setblocking(False)
        self._opening.add(self._loop.create_task(self._open(connected)))

    def _resume(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener, self._accept, listener)

    async def _open(self, connected: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: ClientConnection(self._port), connected
            )
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
