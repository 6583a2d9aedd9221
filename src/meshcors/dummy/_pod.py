"""A whole pod: one process, or several workers and one with the admin port.

The first SIGTERM begins the drain: the pod goes on answering, and every answer closes its
connection, so that clients move to another pod. A second SIGTERM, or SIGINT, ends it at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Final

from meshcors.dummy._admin import AdminPages
from meshcors.dummy._agreement import Agreement
from meshcors.dummy._app import pod_handler
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import READ_AT, SERVING, Counters
from meshcors.dummy._listen import ConnectionLimits
from meshcors.dummy._logs import log
from meshcors.dummy._port import Handler, Port
from meshcors.dummy._refusals import RefusalRelay
from meshcors.dummy._reload import ConfigurationFile, Reloader
from meshcors.dummy._server import Server
from meshcors.dummy._state import PodState

# Seconds that closing takes. The drain ends that much earlier, so that the process ends in time.
_CLOSING: Final = 0.4
# Seconds after the drain in which a worker ends, unless it hangs.
_PATIENCE: Final = 3.0
# Bytes of a connection that are read at once, and in its turn. A page may be large and take long to
# make: less than one request for one is read in a turn.
_POD: Final = (4 * 1024, 64 * 1024)
_ADMIN: Final = (32, 32)


@dataclass(slots=True)
class Pod:
    """A pod that is ready to start: its configuration is checked, its sockets are bound.

    `source` is what `configuration` was read from at `read_at`, in Unix time, and is watched; None
    where there is no file. `drain` and `keep_alive` are in seconds. With more than one of the
    `workers`, an additional process has the admin port.
    """

    configuration: InitVar[Configuration]
    source: ConfigurationFile | None
    read_at: float
    sockets: list[socket.socket]
    admin_sockets: list[socket.socket]
    limits: ConnectionLimits
    drain: float
    keep_alive: float
    admin_host_names: tuple[str, ...]
    access_log: bool
    workers: int
    _counters: Counters = field(init=False)
    _agreement: Agreement = field(init=False)

    def __post_init__(self, configuration: Configuration) -> None:
        # Kept nowhere else: it may be large, and is replaced one day.
        count = self.workers if self.workers > 1 else 0
        self._counters = Counters(count + 1)
        self._counters.row(count)[READ_AT] = int(self.read_at)
        self._agreement = Agreement(configuration, self._counters, count)

    def run(self, introduction: list[str]) -> None:
        """Run until a signal ends it; log the `introduction` once it serves."""

        def when_serving() -> None:
            for line in introduction:
                log(logging.INFO, line)

        # What exists now stays: the garbage collector need not look at it again.
        gc.freeze()
        if self.workers > 1:
            self._run_workers(when_serving)
            return
        state = PodState(self._agreement.current(), self._counters, 0)
        ports = [self._pod_port(state), *self._admin_ports(state)]
        _Process(self, state, ports, when_serving, self._reloader(state)).run()

    def _run_workers(self, when_serving: Callable[[], None]) -> None:
        from meshcors.dummy._workers import run_processes

        relay = RefusalRelay()

        def worker(number: int, parent: int) -> None:
            self._agreement.follow(self._counters.row(number))
            state = PodState(self._agreement.current(), self._counters, number, relay.send)
            ports = [self._pod_port(state)]
            said = {"worker": number, "pid": os.getpid()}
            serving = partial(log, logging.INFO, "worker is serving", **said)
            _Process(self, state, ports, serving, parent=parent).run()

        def admin(parent: int) -> None:
            state = PodState(self._agreement.current(), self._counters, self.workers)
            ports, reloader = self._admin_ports(state), self._reloader(state)
            _Process(self, state, ports, when_serving, reloader, relay, parent).run()

        def when_ended(number: int) -> None:
            self._counters.row(number)[SERVING] = 0

        workers: list[Callable[[int], None]] = [partial(worker, n) for n in range(self.workers)]
        run_processes([*workers, admin], when_ended, self.drain + _PATIENCE)
        relay.close()

    def _pod_port(self, state: PodState) -> Port:
        """Return the pod's port, which answers by what is committed."""
        on_answer = state.refusals.log_access if self.access_log else None
        committed = self._agreement.committed
        label = -1
        handler: Handler

        def current() -> Handler:
            nonlocal label, handler
            if committed[0] != label:
                label = committed[0]
                state.switch(self._agreement.current())
                engine = state.configuration.engine
                handler = pod_handler(engine, state.row, state.refusals, on_answer)
            return handler

        return Port(current, *_POD, self.sockets, self.limits.pod)

    def _admin_ports(self, state: PodState) -> list[Port]:
        if not self.admin_sockets:
            return []
        handler = AdminPages(state, self.admin_host_names).handler
        return [Port(lambda: handler, *_ADMIN, self.admin_sockets, self.limits.admin)]

    def _reloader(self, state: PodState) -> Reloader | None:
        """Return what watches the file, in the process with the admin port."""
        if self.source is None:
            return None
        if self._agreement.committed[0]:
            # In the place of a process that has died, with what it knew of the file.
            self.source.file.request()
        return Reloader(state, self.source, self._agreement.agree)


@dataclass(frozen=True, slots=True)
class _Process:
    """One process of the `pod`, from its first connection to its last.

    `when_serving` is called once it is listening. `relay` brings the refusals of other processes.
    `parent` is a file descriptor that reads as ended when the parent process is gone.
    """

    pod: Pod
    state: PodState
    ports: list[Port]
    when_serving: Callable[[], None]
    reloader: Reloader | None = None
    relay: RefusalRelay | None = None
    parent: int | None = None

    def run(self) -> None:
        """Serve until a signal ends it."""
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        servers = [Server(port, self.pod.keep_alive) for port in self.ports]
        stopping = self._handle_signals()
        if self.reloader is not None:
            self.reloader.start()
        for server in servers:
            server.start()
        self.state.row[SERVING] = any(port.sockets is self.pod.sockets for port in self.ports)
        self.when_serving()
        self._tick(servers)
        try:
            await stopping.wait()
            await asyncio.gather(*(server.stop() for server in servers))
        finally:
            self.state.row[SERVING] = 0

    def _tick(self, servers: list[Server]) -> None:
        """Do what is done every second, during shutdown too."""
        for server in servers:
            server.tick()
        self.state.refusals.log_left_out()
        asyncio.get_running_loop().call_later(1, self._tick, servers)

    def _handle_signals(self) -> asyncio.Event:
        """Return what is set when the process is to end."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()

        def drain() -> None:
            if self.state.draining:
                stopping.set()
                return
            self.state.draining = True
            for port in self.ports:
                port.draining = True
            loop.call_later(max(0, self.pod.drain - _CLOSING), stopping.set)

        loop.add_signal_handler(signal.SIGTERM, drain)
        loop.add_signal_handler(signal.SIGINT, stopping.set)
        reload = self.reloader.file.request if self.reloader else lambda: None
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
