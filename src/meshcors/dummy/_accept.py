"""Connections are taken up to a number; for one more, the one that was idle longest goes.

What is over the number waits in the kernel until there is room, so that a process never runs out of
descriptors, which would cost it its probes, its file and its next connection. The event loops' own
way takes whatever waits, all at once, and then fails for a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from meshcors.dummy._logs import log

# After the system had no room for one more, in seconds.
_RESPITE: Final = 0.1


class Connections(OrderedDict[Any, None]):
    """uvicorn's set of a server's protocols; each moves itself to the end with its every answer."""

    def add(self, connection: Any) -> None:
        """Take a new one."""
        self[connection] = None

    def discard(self, connection: Any) -> None:
        """Let one go that is closed."""
        self.pop(connection, None)


class Acceptor:
    """Accepts connections on `listeners`, and keeps at most `most` of them open.

    `make` makes a protocol, which adds itself to `connections` when it is connected and takes
    itself off when it is closed.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        most: int,
        connections: Connections,
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listeners = listeners
        self._most = most
        self._connections = connections
        self._make = make
        self._opening: set[asyncio.Task[Any]] = set()
        # The one that has to go, until it is gone.
        self._leaving: Any = None
        self._closed = 0

    def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            listener.setblocking(False)
            loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Accept no more; those that wait are refused by the system."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()

    def cut_off(self) -> None:
        """End all connections that there are, whatever has not been sent."""
        for connection in list(self._connections):
            connection.transport.abort()

    def say_closed(self) -> None:
        """Log how many connections have been closed to make room, if any, since the last time."""
        if self._closed:
            log(
                logging.WARNING,
                "closed the longest idle connections to make room",
                count=self._closed,
                max_connections=self._most,
            )
            self._closed = 0

    def _accept(self, listener: socket.socket) -> None:
        """Accept one of those that wait; the event loop calls again as long as any does."""
        loop = asyncio.get_running_loop()
        if len(self._connections) + len(self._opening) > self._most:
            # One more than may stay, until it is known which goes, and it is gone.
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
            loop.call_later(_RESPITE, self._resume, listener)
            return
        connected.setblocking(False)
        self._opening.add(loop.create_task(self._open(connected)))

    def _resume(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def _open(self, connected: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, connected)
        except OSError:
            # It is gone already.
            connected.close()
        finally:
            self._opening.discard(asyncio.current_task())
        if len(self._connections) > self._most:
            self._make_room()

    def _make_room(self) -> None:
        if self._leaving in self._connections or not self._connections:
            return
        self._leaving = next(iter(self._connections))
        # What it has not read by now it may never read.
        self._leaving.transport.abort()
        self._closed += 1
