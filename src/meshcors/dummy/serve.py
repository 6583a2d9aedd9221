"""A process of the pod, from its first connection to its last: listen, answer, drain, end.

The first SIGTERM begins the drain: answers go on and close their connections, so that clients move
to another pod. A second one, or SIGINT, ends it at once. The HTTP server is uvicorn.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import Server

from meshcors.asgi import ASGIApp
from meshcors.dummy import idle
from meshcors.dummy.configuration import Configuration
from meshcors.dummy.counters import SERVING
from meshcors.dummy.live import Live
from meshcors.dummy.pod import Pod
from meshcors.dummy.relay import Relay
from meshcors.dummy.reload import Reloader

# What closing takes; the drain ends that much earlier, so that all is over when it is.
_CLOSING: Final = 0.4
# For requests whose connections were accepted just before the listening ended.
_LAST_REQUESTS: Final = 0.1
# Answers are ready-made: one that is not sent by now has a client that does not read.
_LAST_ANSWERS: Final = 1


@dataclass(frozen=True, slots=True)
class Process:
    """What one process of the pod does; seconds for `drain` and `keep_alive`.

    `pod` answers on `sockets`, `admin` on `admin_sockets`; either may be missing. `relay` brings
    the refusals of other processes. `parent` is a file descriptor that reads as ended when the
    parent process is gone. `when_serving` is called once the sockets are being listened on.
    """

    live: Live
    drain: float
    keep_alive: float
    when_serving: Callable[[], None]
    pod: Pod | None = None
    sockets: list[socket.socket] = field(default_factory=list)
    admin: ASGIApp | None = None
    admin_sockets: list[socket.socket] = field(default_factory=list)
    reloader: Reloader | None = None
    relay: Relay | None = None
    parent: int | None = None

    def run(self) -> None:
        """Serve until a signal ends it."""
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        servers: list[PodServer] = []
        if self.pod is not None:
            self.live.when_replaced.append(self._take_engine)
            servers.append(PodServer(self.pod, self.sockets, self.keep_alive, self._serves))
        if self.admin is not None:
            first = self.pod is None
            when_serving = self.when_serving if first else None
            servers.append(PodServer(self.admin, self.admin_sockets, self.keep_alive, when_serving))
        self._handle_signals(servers)
        beside = [asyncio.ensure_future(task) for task in self._tasks(servers)]
        try:
            await asyncio.gather(*(server.serve_sockets() for server in servers))
        finally:
            self.live.numbers[SERVING] = 0
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    def _serves(self) -> None:
        self.live.numbers[SERVING] = 1
        self.when_serving()

    def _take_engine(self, configuration: Configuration) -> None:
        if self.pod is not None:
            self.pod.engine = configuration.engine

    def _tasks(self, servers: list[PodServer]) -> Iterator[Awaitable[None]]:
        for server in servers:
            yield _every(idle.INTERVAL, server.sweep)
        yield _every(1, self.live.refusals.say_left_out)
        if self.reloader is not None:
            yield self.reloader.watch()

    def _handle_signals(self, servers: list[PodServer]) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            for server in servers:
                server.should_exit = True

        def drain() -> None:
            if self.live.draining:
                stop()
                return
            self.live.draining = True
            if self.pod is not None:
                self.pod.draining = True
            loop.call_later(max(0, self.drain - _CLOSING), stop)

        reloading: set[asyncio.Task[None]] = set()

        def reload() -> None:
            if self.reloader is not None:
                task = loop.create_task(self.reloader.reload())
                reloading.add(task)
                task.add_done_callback(reloading.discard)

        loop.add_signal_handler(signal.SIGTERM, drain)
        loop.add_signal_handler(signal.SIGINT, stop)
        loop.add_signal_handler(signal.SIGHUP, reload)
        if self.parent is not None:
            loop.add_reader(self.parent, stop)
        if self.relay is not None:
            relay = self.relay
            loop.add_reader(relay, lambda: self.live.refusals.last.extend(relay.receive()))


class PodServer(Server):
    """uvicorn's server on given sockets, in a process that handles its signals itself.

    `when_serving` is called once the sockets are being listened on.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: list[socket.socket],
        keep_alive: float,
        when_serving: Callable[[], None] | None,
    ) -> None:
        super().__init__(
            Config(
                app,
                http=_protocol(),
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                workers=1,
                timeout_keep_alive=ceil(keep_alive),
                timeout_graceful_shutdown=_LAST_ANSWERS,
            )
        )
        self._sockets = sockets
        self._when_serving = when_serving
        self._sweep = idle.Sweep(self.server_state.connections, keep_alive)

    async def serve_sockets(self) -> None:
        """Serve until `should_exit` is set and all is closed."""
        await self.serve(self._sockets)

    def sweep(self) -> None:
        """Close the connections that bring no request."""
        self._sweep(asyncio.get_running_loop().time())

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn's own way raises them again at the end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets=sockets)
        if self._when_serving is not None:
            self._when_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the listening, answer what has come, then close."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_REQUESTS)
        await super().shutdown(sockets=sockets)


async def _every(seconds: float, call: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        call()


def _protocol() -> Any:
    try:
        from meshcors.dummy.protocol import PodProtocol
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        return "h11"
    return PodProtocol


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    with suppress(ModuleNotFoundError):
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop
