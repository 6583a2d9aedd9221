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
from functools import partial
from typing import Any, Final

from meshcors.dummy._logs import log
from meshcors.dummy._port import Port, date_line
from meshcors.dummy._protocol import ClientConnection

# Seconds until the next attempt, after the system has refused to open a connection.
_RETRY_AFTER: Final = 0.1
# Seconds for requests whose connections were accepted just before the server stopped listening.
_LAST_REQUESTS: Final = 0.1
# Seconds for the last answers. They are ready-made: one that is not sent by then has a client that
# does not read.
_LAST_ANSWERS: Final = 1.0


class Server:
    """Serves a `port`; a connection may stay open for `keep_alive` seconds between requests.

    Made where an event loop runs.
    """

    def __init__(self, port: Port, keep_alive: float) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        port.call_soon = self._loop.call_soon
        # With less, connections would be closed that were opened just now.
        self._keep_alive = max(1.0, keep_alive)
        self._opening: set[asyncio.Task[Any]] = set()
        # The connection that is being closed to make room, and how many were since the last tick.
        self._leaving: ClientConnection | None = None
        self._closed = 0

    def start(self) -> None:
        """Begin to accept."""
        self.tick()
        for listener in self._port.sockets:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, listener)

    def tick(self) -> None:
        """Tell the time, and close the connections that have waited too long; every second."""
        self._port.now = self._loop.time()
        self._port.date = date_line()
        for connection in list(self._port.connections):
            connection.close_if_overdue(self._keep_alive)
        if self._closed:
            what = "closed the longest idle connections to make room for new ones"
            log(logging.WARNING, what, count=self._closed, max_connections=self._port.limit)
            self._closed = 0

    async def stop(self) -> None:
        """Stop listening, answer what has come, then close; the system refuses what still waits."""
        for listener in self._port.sockets:
            self._loop.remove_reader(listener)
            listener.close()
        await asyncio.sleep(_LAST_REQUESTS)
        for connection in list(self._port.connections):
            connection.close()
        for _ in range(50):
            if self._port.connections:
                await asyncio.sleep(_LAST_ANSWERS / 50)
        for connection in list(self._port.connections):
            connection.transport.abort()

    def _accept(self, listener: socket.socket) -> None:
        """Accept one waiting connection; the event loop calls again as long as any waits."""
        if len(self._port.connections) + len(self._opening) > self._port.limit:
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
            connect = partial(ClientConnection, self._port)
            await self._loop.connect_accepted_socket(connect, connected)
        except OSError:
            # The client has gone already.
            connected.close()
        finally:
            self._opening.discard(asyncio.current_task())
        if len(self._port.connections) > self._port.limit:
            self._make_room()

    def _make_room(self) -> None:
        connections = self._port.connections
        if not connections or (self._leaving and self._leaving in connections):
            return
        self._leaving = next(iter(connections))
        # Not close(): that would wait for a client that may never read its last answer.
        self._leaving.transport.abort()
        self._closed += 1
