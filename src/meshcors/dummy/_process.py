"""One process of the pod, from its first connection to its last: serve, drain, end.

The first SIGTERM begins the drain: the pod goes on answering, and every answer closes its
connection, so that clients move to another pod. A second SIGTERM, or SIGINT, ends it at once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from meshcors.dummy._connections import ConnectionLimits
from meshcors.dummy._counters import SERVING
from meshcors.dummy._port import Handler
from meshcors.dummy._refusals import RefusalRelay
from meshcors.dummy._reload import Reloader
from meshcors.dummy._server import Server
from meshcors.dummy._state import PodState

# Seconds that closing takes. The drain ends that much earlier, so that the process ends in time.
_CLOSING: Final = 0.4
# Bytes of a connection that are read at once, and in its turn. A page may be large and take long to
# make: less than one request for one is read in a turn.
_POD: Final = (4 * 1024, 64 * 1024)
_ADMIN: Final = (32, 32)


@dataclass(frozen=True, slots=True)
class Process:
    """What one process of the pod does; `drain` and `keep_alive` are in seconds.

    `current` returns the pod's handler, for `sockets`; `admin` is the handler for `admin_sockets`;
    either may be missing. `relay` brings the refusals of other processes. `parent` is a file
    descriptor that reads as ended when the parent process is gone. `when_serving` is called once
    the process is listening.
    """

    state: PodState
    drain: float
    keep_alive: float
    limits: ConnectionLimits
    when_serving: Callable[[], None]
    current: Callable[[], Handler] | None = None
    sockets: list[socket.socket] = field(default_factory=list)
    admin: Handler | None = None
    admin_sockets: list[socket.socket] = field(default_factory=list)
    reloader: Reloader | None = None
    relay: RefusalRelay | None = None
    parent: int | None = None

    def run(self) -> None:
        """Serve until a signal ends it."""
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        servers = list(self._servers())
        stopping = self._handle_signals(servers)
        if self.reloader is not None:
            self.reloader.start()
        for server in servers:
            server.start()
        self.state.row[SERVING] = self.current is not None
        self.when_serving()
        self._tick(servers)
        try:
            await stopping.wait()
            await asyncio.gather(*(server.stop() for server in servers))
        finally:
            self.state.row[SERVING] = 0

    def _servers(self) -> Iterator[Server]:
        if self.current is not None:
            yield Server(self.sockets, self.limits.pod, self.keep_alive, self.current, *_POD)
        if self.admin is not None:
            admin = self.admin
            yield Server(
                self.admin_sockets, self.limits.admin, self.keep_alive, lambda: admin, *_ADMIN
            )

    def _tick(self, servers: list[Server]) -> None:
        """Do what is done every second, during shutdown too."""
        for server in servers:
            server.tick()
        self.state.refusals.log_left_out()
        asyncio.get_running_loop().call_later(1, self._tick, servers)

    def _handle_signals(self, servers: list[Server]) -> asyncio.Event:
        """Return what is set when the process is to end."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()

        def drain() -> None:
            if self.state.draining:
                stopping.set()
                return
            self.state.draining = True
            for server in servers:
                server.drain()
            loop.call_later(max(0, self.drain - _CLOSING), stopping.set)

        def reload() -> None:
            if self.reloader is not None:
                self.reloader.request()

        loop.add_signal_handler(signal.SIGTERM, drain)
        loop.add_signal_handler(signal.SIGINT, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, reload)
        if self.parent is not None:
            loop.add_reader(self.parent, stopping.set)
        if self.relay is not None:
            relay = self.relay
            loop.add_reader(relay, lambda: self.state.refusals.keep(relay.receive()))
        return stopping


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    with suppress(ModuleNotFoundError):
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop
