"""From a checked configuration and open sockets to the processes of a pod."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshcors.dummy._admin import Admin
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import SERVING, Board
from meshcors.dummy._descriptors import Room
from meshcors.dummy._live import Live
from meshcors.dummy._logs import log
from meshcors.dummy._pod import Pod
from meshcors.dummy._refusals import Refusals
from meshcors.dummy._relay import Relay
from meshcors.dummy._reload import Look, Reloader
from meshcors.dummy._serve import Process


@dataclass(frozen=True, slots=True)
class Launch:
    """All that a pod starts with.

    `taken` is what was found at `path` when the configuration was made of it, `read` makes it anew;
    `path` is None where there is no file. `drain` and `keep_alive` are in seconds.
    """

    configuration: Configuration
    sockets: list[socket.socket]
    admin_sockets: list[socket.socket]
    drain: float
    keep_alive: float
    room: Room
    admin_host_names: tuple[str, ...]
    access_log: bool
    path: Path | None
    taken: Look | None
    read: Callable[[], Configuration]

    def alone(self, introduce: Callable[[], None]) -> None:
        """Run everything in this process."""
        board = Board(1)
        live = self._live(board, 0)
        # What is here now stays: no use looking through it for garbage.
        gc.freeze()
        Process(
            live,
            self.drain,
            self.keep_alive,
            self.room,
            introduce,
            pod=self._pod(live),
            sockets=self.sockets,
            admin=Admin(live, self.admin_host_names) if self.admin_sockets else None,
            admin_sockets=self.admin_sockets,
            reloader=self._reloader(live, speaks=True),
        ).run()

    def workers(self, count: int, introduce: Callable[[], None]) -> None:
        """Run `count` processes that answer and one that oversees them."""
        from meshcors.dummy._workers import run_processes

        board = Board(count + 1)
        relay = Relay()
        gc.freeze()

        def work(number: int) -> Callable[[int], None]:
            def main(parent: int) -> None:
                live = self._live(board, number, relay)
                Process(
                    live,
                    self.drain,
                    self.keep_alive,
                    self.room,
                    lambda: log(logging.INFO, "a worker is serving", number=number),
                    pod=self._pod(live),
                    sockets=self.sockets,
                    reloader=self._reloader(live, speaks=False),
                    parent=parent,
                ).run()

            return main

        def oversee(parent: int) -> None:
            live = self._live(board, count)
            Process(
                live,
                self.drain,
                self.keep_alive,
                self.room,
                introduce,
                admin=Admin(live, self.admin_host_names),
                admin_sockets=self.admin_sockets,
                reloader=self._reloader(live, speaks=True),
                relay=relay,
                parent=parent,
            ).run()

        def when_gone(number: int) -> None:
            board.row(number)[SERVING] = 0

        run_processes([*map(work, range(count)), oversee], when_gone)
        relay.close()

    def _live(self, board: Board, number: int, relay: Relay | None = None) -> Live:
        numbers = board.row(number)
        refusals = Refusals(numbers, relay.send if relay else None)
        return Live(self.configuration, board, numbers, refusals)

    def _pod(self, live: Live) -> Pod:
        witness = live.refusals.log_access if self.access_log else None
        return Pod(self.configuration.engine, live.numbers, live.refusals, witness)

    def _reloader(self, live: Live, *, speaks: bool) -> Reloader | None:
        if self.path is None:
            return None
        return Reloader(live, self.path, self.taken, self.read, speaks=speaks)
