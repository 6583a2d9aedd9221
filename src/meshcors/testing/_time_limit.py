"""A limit for each step of a request, which timeouts of single reads are not."""

from __future__ import annotations

import threading
from contextlib import suppress
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors.testing._faults import RequestStep

# The events of httpx with which a step begins; without TLS, the answer is next.
_STEPS: Final[dict[str, RequestStep]] = {
    "connection.connect_tcp.complete": "answer",
    "connection.start_tls.started": "tls",
    "connection.start_tls.complete": "answer",
}


class TimeLimit:
    """Ends a request's connection when a step's time is over, however slowly something arrives.

    `connect_seconds` are for the connection, and as many for the handshake of TLS; `seconds` are
    for all of the answer.
    """

    def __init__(self, connect_seconds: float, seconds: float) -> None:
        self._seconds: Final[dict[RequestStep, float]] = {
            "connect": connect_seconds,
            "tls": connect_seconds,
            "answer": seconds,
        }
        self.step: RequestStep = "connect"
        self.is_over = False
        # the connection's port on this side; 0 without a connection
        self.client_port = 0
        self._socket: socket | None = None
        self._timers: list[threading.Timer] = []

    @property
    def seconds(self) -> float:
        """The seconds of the step."""
        return self._seconds[self.step]

    def __enter__(self) -> None:
        self.leave(self.seconds)

    def __exit__(self, *_: object) -> None:
        self._stop()

    def leave(self, seconds: float) -> None:
        """Leave at most these seconds from now on."""
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def watch(self, event: str, found: Mapping[str, Any]) -> None:
        """Note the connection; httpx calls this at each step of a request."""
        if event not in _STEPS:
            return
        if event.endswith(".complete"):
            connection: socket = found["return_value"].get_extra_info("socket")
            self._socket = connection
            with suppress(OSError):  # closed by the other side
                self.client_port = connection.getsockname()[1]
        if self.is_over:  # the connection came too late
            self._end()
            return
        self._stop()
        self.step = _STEPS[event]
        self.leave(self.seconds)

    def _stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                # not that of SSLSocket, which takes its state from under whoever reads
                socket.shutdown(self._socket, SHUT_RDWR)
