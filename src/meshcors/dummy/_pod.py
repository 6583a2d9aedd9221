"""A whole pod: one process, or several workers and one with the admin port."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshcors.dummy._admin import AdminPages
from meshcors.dummy._app import pod_handler
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._connections import ConnectionLimits
from meshcors.dummy._counters import SERVING, Counters
from meshcors.dummy._handler import Handler
from meshcors.dummy._logs import log
from meshcors.dummy._process import Process
from meshcors.dummy._refusals import RefusalRelay, Refusals
from meshcors.dummy._reload import ConfigurationFile, Reloader
from meshcors.dummy._state import PodState


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that is ready to start: its configuration is checked, its sockets are bound.

    `file` is what `configuration` was read from, and is watched; None where there is no file.
    `drain` and `keep_alive` are in seconds.
    """

    configuration: Configuration
    file: ConfigurationFile | None
    sockets: list[socket.socket]
    admin_sockets: list[socket.socket]
    limits: ConnectionLimits
    drain: float
    keep_alive: float
    admin_host_names: tuple[str, ...]
    access_log: bool

    def run(self, when_serving: Callable[[], None]) -> None:
        """Run everything in this process."""
        state = self._state(Counters(1), 0)
        # What exists now stays: the garbage collector need not look at it again.
        gc.freeze()
        self._process(
            state,
            when_serving,
            current=self._current(state),
            sockets=self.sockets,
            admin=AdminPages(state, self.admin_host_names).handler if self.admin_sockets else None,
            admin_sockets=self.admin_sockets,
            reloader=self._reloader(state, logs=True),
        ).run()

    def run_workers(self, count: int, when_serving: Callable[[], None]) -> None:
        """Run `count` processes that answer, and one with the admin port."""
        from meshcors.dummy._workers import run_processes

        counters = Counters(count + 1)
        relay = RefusalRelay()
        gc.freeze()

        def worker(number: int) -> Callable[[int], None]:
            def main(parent: int) -> None:
                state = self._state(counters, number, relay)
                self._process(
                    state,
                    lambda: log(logging.INFO, "worker is serving", worker=number),
                    current=self._current(state),
                    sockets=self.sockets,
                    reloader=self._reloader(state, logs=False),
                    parent=parent,
                ).run()

            return main

        def admin(parent: int) -> None:
            state = self._state(counters, count)
            self._process(
                state,
                when_serving,
                admin=AdminPages(state, self.admin_host_names).handler,
                admin_sockets=self.admin_sockets,
                reloader=self._reloader(state, logs=True),
                relay=relay,
                parent=parent,
            ).run()

        def when_ended(number: int) -> None:
            counters.row(number)[SERVING] = 0

        run_processes([*map(worker, range(count)), admin], when_ended)
        relay.close()

    def _process(self, state: PodState, when_serving: Callable[[], None], **parts: Any) -> Process:
        return Process(state, self.drain, self.keep_alive, self.limits, when_serving, **parts)

    def _state(
        self, counters: Counters, number: int, relay: RefusalRelay | None = None
    ) -> PodState:
        row = counters.row(number)
        refusals = Refusals(row, relay.send if relay else None)
        return PodState(self.configuration, counters, row, refusals)

    def _current(self, state: PodState) -> Callable[[], Handler]:
        """Return a function that returns the handler of the configuration that is active now."""
        on_answer = state.refusals.log_access if self.access_log else None

        def handler(configuration: Configuration) -> Handler:
            return pod_handler(configuration.engine, state.row, state.refusals, on_answer)

        current = handler(self.configuration)

        def replace(configuration: Configuration) -> None:
            nonlocal current
            current = handler(configuration)

        state.when_replaced.append(replace)
        return lambda: current

    def _reloader(self, state: PodState, *, logs: bool) -> Reloader | None:
        return None if self.file is None else Reloader(state, self.file, logs=logs)
