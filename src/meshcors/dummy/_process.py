"""One process of the pod, from its first connection to its last: serve, drain, end.

The first SIGTERM begins the drain: the pod goes on answering, and every answer closes its
connection, so that clients move to another pod. A second SIGTERM, or SIGINT, ends it at once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from meshcors.asgi import ASGIApp
from meshcors.dummy._app import PodApp
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._connections import IDLE_INTERVAL, ConnectionLimits
from meshcors.dummy._counters import SERVING
from meshcors.dummy._refusals import RefusalRelay
from meshcors.dummy._reload import Reloader
from meshcors.dummy._server import PodServer
from meshcors.dummy._state import PodState

# Seconds that closing takes. The drain ends that much earlier, so that the process ends in time.
_CLOSING: Final = 0.4


@dataclass(frozen=True, slots=True)
class Process:
    """What one process of the pod does; `drain` and `keep_alive` are in seconds.

    `app` answers on `sockets`, `admin` on `admin_sockets`; either may be missing. `relay` brings
    the refusals of other processes. `parent` is a file descriptor that reads as ended when the
    parent process is gone. `when_serving` is called once the process is listening.
    """

    state: PodState
    drain: float
    keep_alive: float
    limits: ConnectionLimits
    when_serving: Callable[[], None]
    app: PodApp | None = None
    sockets: list[socket.socket] = field(default_factory=list)
    admin: ASGIApp | None = None
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
        self._handle_signals(servers)
        if self.reloader is not None:
            self.reloader.start()
        background = [asyncio.ensure_future(task) for task in self._background(servers)]
        try:
            await asyncio.gather(*(server.serve() for server in servers))
        finally:
            self.state.row[SERVING] = 0
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def _servers(self) -> Iterator[PodServer]:
        if self.app is not None:
            self.state.when_replaced.append(self._take_engine)
            yield PodServer(
                self.app, self.sockets, self.limits.pod, self.keep_alive, self._is_serving
            )
        if self.admin is not None:
            when_serving = self.when_serving if self.app is None else None
            yield PodServer(
                self.admin, self.admin_sockets, self.limits.admin, self.keep_alive, when_serving
            )

    def _is_serving(self) -> None:
        self.state.row[SERVING] = 1
        self.when_serving()

    def _take_engine(self, configuration: Configuration) -> None:
        if self.app is not None:
            self.app.engine = configuration.engine

    def _background(self, servers: list[PodServer]) -> Iterator[Awaitable[None]]:
        for server in servers:
            yield _every(IDLE_INTERVAL, server.tend_connections)
        yield _every(1, self.state.refusals.log_left_out)

    def _handle_signals(self, servers: list[PodServer]) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            for server in servers:
                server.should_exit = True

        def drain() -> None:
            if self.state.draining:
                stop()
                return
            self.state.draining = True
            if self.app is not None:
                self.app.draining = True
            loop.call_later(max(0, self.drain - _CLOSING), stop)

        def reload() -> None:
            if self.reloader is not None:
                self.reloader.request()

        loop.add_signal_handler(signal.SIGTERM, drain)
        loop.add_signal_handler(signal.SIGINT, stop)
        loop.add_signal_handler(signal.SIGHUP, reload)
        if self.parent is not None:
            loop.add_reader(self.parent, stop)
        if self.relay is not None:
            relay = self.relay
            loop.add_reader(relay, lambda: self.state.refusals.keep(relay.receive()))


async def _every(seconds: float, call: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        call()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    with suppress(ModuleNotFoundError):
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop
