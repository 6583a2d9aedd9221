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
from meshcors.dummy import _idle as idle
from meshcors.dummy._accept import Acceptor, Connections
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import SERVING
from meshcors.dummy._descriptors import Room
from meshcors.dummy._live import Live
from meshcors.dummy._pod import Pod
from meshcors.dummy._relay import Relay
from meshcors.dummy._reload import Reloader

# What closing takes; the drain ends that much earlier, so that all is over when it is.
_CLOSING: Final = 0.4
# For requests whose connections were accepted just before the listening ended.
_LAST_REQUESTS: Final = 0.1
# Answers are ready-made: one that is not sent by now has a client that does not read.
_LAST_ANSWERS: Final = 1


@dataclass(frozen=True, slots=True)
class Process:
    """What one process of the pod does; seconds for `drain` and `keep_alive`.

    `pod` answers on `sockets`, `admin` on `admin_sockets`; either may be missing. `room` is how
    many connections each keeps open. `relay` brings the refusals of other processes. `parent` is a
    file descriptor that reads as ended when the parent process is gone. `when_serving` is called
    once the sockets are being listened on.
    """

    live: Live
    drain: float
    keep_alive: float
    room: Room
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
            servers.append(
                PodServer(self.pod, self.sockets, self.room.pod, self.keep_alive, self._serves)
            )
        if self.admin is not None:
            when_serving = self.when_serving if self.pod is None else None
            servers.append(
                PodServer(
                    self.admin, self.admin_sockets, self.room.admin, self.keep_alive, when_serving
                )
            )
        self._handle_signals(servers)
        if self.reloader is not None:
            self.reloader.start()
        beside = [asyncio.ensure_future(task) for task in self._tasks(servers)]
        try:
            await asyncio.gather(*(server.serve() for server in servers))
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
            yield _every(idle.INTERVAL, server.look_after)
        yield _every(1, self.live.refusals.say_left_out)

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

        def reload() -> None:
            if self.reloader is not None:
                self.reloader.ask()

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

    It keeps at most `most` connections open. `when_serving` is called once the sockets are being
    listened on.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: list[socket.socket],
        most: int,
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
                # Nothing is left to wait for by then: else it would log an error for each.
                timeout_graceful_shutdown=2 * _LAST_ANSWERS,
            )
        )
        connections: Any = Connections()
        self.server_state.connections = connections
        self._acceptor = Acceptor(sockets, most, connections, self._make_protocol)
        self._when_serving = when_serving
        self._sweep = idle.Sweep(connections, keep_alive)

    def look_after(self) -> None:
        """Close the connections that bring no request; say what had to go before its time."""
        self._sweep(asyncio.get_running_loop().time())
        self._acceptor.say_closed()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn's own way raises them again at the end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so; `sockets` are those of the server in any case."""
        # What uvicorn would have accepted on itself.
        self.servers = []
        self._acceptor.start()
        self.started = True
        if self._when_serving is not None:
            self._when_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the listening, answer what has come, then close."""
        self._acceptor.close()
        await asyncio.sleep(_LAST_REQUESTS)
        cutting = asyncio.get_running_loop().call_later(_LAST_ANSWERS, self._acceptor.cut_off)
        await super().shutdown(sockets=sockets)
        cutting.cancel()

    def _make_protocol(self) -> Any:
        protocol: Any = self.config.http_protocol_class
        return protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


async def _every(seconds: float, call: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        call()


def _protocol() -> Any:
    try:
        from meshcors.dummy._protocol import PodProtocol
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        from meshcors.dummy._plain_protocol import PlainProtocol

        return PlainProtocol
    return PodProtocol


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    with suppress(ModuleNotFoundError):
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop
