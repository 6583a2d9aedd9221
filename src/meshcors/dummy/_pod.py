"""A whole pod: one process, or several workers and one with the admin port."""

from __future__ import annotations

import gc
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from meshcors.dummy._admin import AdminPages
from meshcors.dummy._agreement import Agreement
from meshcors.dummy._app import pod_handler
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._connections import ConnectionLimits
from meshcors.dummy._counters import SERVING, Counters
from meshcors.dummy._logs import log
from meshcors.dummy._port import Handler
from meshcors.dummy._process import Process
from meshcors.dummy._refusals import RefusalRelay, Refusals
from meshcors.dummy._reload import ConfigurationFile, Reloader
from meshcors.dummy._state import PodState

# Seconds after the drain in which a worker ends, unless it hangs.
_PATIENCE: Final = 3.0


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
        counters = Counters(1)
        agreement = Agreement(self.configuration, counters, 0)
        # What exists now stays: the garbage collector need not look at it again.
        gc.freeze()
        row = counters.row(0)
        state = PodState(self.configuration, counters, row, Refusals(counters, 0))
        parts = self._answering(state, agreement) | self._showing(state, agreement)
        self._process(state, when_serving, **parts).run()

    def run_workers(self, count: int, when_serving: Callable[[], None]) -> None:
        """Run `count` processes that answer, and one with the admin port."""
        from meshcors.dummy._workers import run_processes

        counters = Counters(count + 1)
        agreement = Agreement(self.configuration, counters, count)
        relay = RefusalRelay()
        gc.freeze()

        def worker(number: int, parent: int) -> None:
            row = counters.row(number)
            agreement.follow(row)
            refusals = Refusals(counters, number, relay.send)
            state = PodState(agreement.current(), counters, row, refusals)
            parts = self._answering(state, agreement)
            said = {"worker": number, "pid": os.getpid()}
            serving = partial(log, logging.INFO, "worker is serving", **said)
            self._process(state, serving, parent=parent, **parts).run()

        def admin(parent: int) -> None:
            row = counters.row(count)
            state = PodState(agreement.current(), counters, row, Refusals(counters, count))
            parts = self._showing(state, agreement)
            self._process(state, when_serving, relay=relay, parent=parent, **parts).run()

        def when_ended(number: int) -> None:
            counters.row(number)[SERVING] = 0

        workers: list[Callable[[int], None]] = [partial(worker, n) for n in range(count)]
        run_processes([*workers, admin], when_ended, self.drain + _PATIENCE)
        relay.close()

    def _process(self, state: PodState, when_serving: Callable[[], None], **parts: Any) -> Process:
        return Process(state, self.drain, self.keep_alive, self.limits, when_serving, **parts)

    def _answering(self, state: PodState, agreement: Agreement) -> dict[str, Any]:
        """Return the parts of a process that answers by what is committed."""
        on_answer = state.refusals.log_access if self.access_log else None
        committed = agreement.committed
        label = -1
        handler: Handler

        def current() -> Handler:
            nonlocal label, handler
            if committed[0] != label:
                label = committed[0]
                state.switch(agreement.current())
                engine = state.configuration.engine
                handler = pod_handler(engine, state.row, state.refusals, on_answer)
            return handler

        return {"current": current, "sockets": self.sockets}

    def _showing(self, state: PodState, agreement: Agreement) -> dict[str, Any]:
        """Return the parts of the process with the admin port; it watches the file too."""
        admin = AdminPages(state, self.admin_host_names).handler if self.admin_sockets else None
        reloader = None if self.file is None else Reloader(state, self.file, agreement.agree)
        if reloader is not None and state.configuration is not self.configuration:
            # In the place of a process that has died, with what it knew of the file.
            reloader.request()
        return {"admin": admin, "admin_sockets": self.admin_sockets, "reloader": reloader}
