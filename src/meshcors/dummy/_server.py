"""uvicorn's server as the pod runs it: on given sockets, with the pod's protocol and limits.

It uses parts of uvicorn that are not public: `Server` has ``startup``, ``shutdown``,
``capture_signals``, ``servers`` and ``server_state`` overridden or set. tests/test_hooks.py fails
when one of them is gone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import ceil
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import Server

from meshcors.asgi import ASGIApp
from meshcors.dummy._connections import Acceptor, Connections, IdleCloser

# Seconds for requests whose connections were accepted just before the server stopped listening.
_LAST_REQUESTS: Final = 0.1
# Seconds for the last answers. They are ready-made: one that is not sent by then has a client that
# does not read.
LAST_ANSWERS: Final = 1


class PodServer(Server):
    """uvicorn's server on given sockets, in a process that handles its signals itself.

    It keeps at most `limit` connections open. `when_serving` is called once it is listening.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: list[socket.socket],
        limit: int,
        keep_alive: float,
        when_serving: Callable[[], None] | None,
    ) -> None:
        super().__init__(
            Config(
                app,
                http=protocol_class(),
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                workers=1,
                timeout_keep_alive=ceil(keep_alive),
                # Nothing is left to wait for by then; otherwise uvicorn logs an error for each.
                timeout_graceful_shutdown=2 * LAST_ANSWERS,
            )
        )
        connections: Any = Connections()
        self.server_state.connections = connections
        self._acceptor = Acceptor(sockets, limit, connections, self._make_protocol)
        self._when_serving = when_serving
        self._close_idle = IdleCloser(connections, keep_alive)

    def tend_connections(self) -> None:
        """Close idle connections, and log how many were closed to make room."""
        self._close_idle(asyncio.get_running_loop().time())
        self._acceptor.log_closed()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn would raise them again at the end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, always on the sockets that the server was made with."""
        # The listeners that uvicorn would have opened itself.
        self.servers = []
        self._acceptor.start()
        self.started = True
        if self._when_serving is not None:
            self._when_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what has come, then close."""
        self._acceptor.close()
        await asyncio.sleep(_LAST_REQUESTS)
        aborting = asyncio.get_running_loop().call_later(LAST_ANSWERS, self._acceptor.abort_all)
        await super().shutdown(sockets=sockets)
        aborting.cancel()

    def _make_protocol(self) -> Any:
        protocol: Any = self.config.http_protocol_class
        return protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def protocol_class() -> Any:
    """Return the HTTP protocol: on httptools where it is installed, else on h11."""
    try:
        from meshcors.dummy._protocol_httptools import BoundedHttptoolsProtocol
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        from meshcors.dummy._protocol_h11 import BoundedH11Protocol

        return BoundedH11Protocol
    return BoundedHttptoolsProtocol
