"""The server of one port: it accepts connections, closes overdue ones, and shuts down."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from meshcors.dummy._connections import Acceptor
from meshcors.dummy._port import Handler, Port
from meshcors.dummy._protocol import ClientConnection
from meshcors.dummy._wire import date_line

# Seconds for requests whose connections were accepted just before the server stopped listening.
_LAST_REQUESTS: Final = 0.1
# Seconds for the last answers. They are ready-made: one that is not sent by then has a client that
# does not read.
_LAST_ANSWERS: Final = 1.0


class Server:
    """Serves `sockets`, with at most `limit` connections open at a time.

    `current` returns the handler of a request that begins now; for `at_once` and `a_turn`
    see `Port`. A connection may stay open for `keep_alive` seconds between requests. Made where an
    event loop runs.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        limit: int,
        keep_alive: float,
        current: Callable[[], Handler],
        at_once: int,
        a_turn: int,
    ) -> None:
        self._port = Port(current, asyncio.get_running_loop().call_soon, at_once, a_turn)
        self._acceptor = Acceptor(sockets, limit, self._port.connections, self._connect)
        # With less, connections would be closed that were opened just now.
        self._keep_alive = max(1.0, keep_alive)

    def start(self) -> None:
        """Begin to listen."""
        self.tick()
        self._acceptor.start()

    def tick(self) -> None:
        """Tell the time, and close the connections that have waited too long; every second."""
        self._port.now = asyncio.get_running_loop().time()
        self._port.date = date_line()
        for connection in list(self._port.connections):
            connection.close_if_overdue(self._keep_alive)
        self._acceptor.log_closed()

    def drain(self) -> None:
        """Close each connection with its next answer from now on."""
        self._port.draining = True

    async def stop(self) -> None:
        """Stop listening, answer what has come, then close."""
        self._acceptor.close()
        await asyncio.sleep(_LAST_REQUESTS)
        connections = self._port.connections
        for connection in list(connections):
            connection.close()
        for _ in range(50):
            if connections:
                await asyncio.sleep(_LAST_ANSWERS / 50)
        for connection in list(connections):
            connection.transport.abort()

    def _connect(self) -> ClientConnection:
        return ClientConnection(self._port)
