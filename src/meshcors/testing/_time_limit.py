"""A limit for a whole request, which timeouts of single reads are not."""

from __future__ import annotations

import threading
from contextlib import suppress
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class TimeLimit:
    """Ends a request's connection when its time is over, however slowly something still arrives."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        # the connection's port on this side; 0 without a connection
        self.client_port = 0
        self._socket: socket | None = None
        self._timers: list[threading.Timer] = []

    def __enter__(self) -> None:
        self.leave(self.seconds)

    def __exit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()

    def leave(self, seconds: float) -> None:
        """Leave at most these seconds from now on."""
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def watch(self, event: str, found: Mapping[str, Any]) -> None:
        """Note the connection; httpx calls this at each step of a request."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            connection: socket = found["return_value"].get_extra_info("socket")
            self._socket = connection
            with suppress(OSError):  # closed by the other side
                self.client_port = connection.getsockname()[1]
            if self.is_over:  # each of a name's addresses may take as long as a connection may
                self._end()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                # not that of SSLSocket, which takes its state from under whoever reads
                socket.shutdown(self._socket, SHUT_RDWR)
