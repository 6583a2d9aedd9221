"""Refusals on their way from the workers to the process that shows them; never waited for."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

from meshcors.dummy._refusals import Refusal

# A refusal's texts are bounded, each character at most six in JSON.
_MAX_BYTES = 64 * 1024


class Relay:
    """A pair of datagram sockets, made before the processes are."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def send(self, refusal: Refusal) -> None:
        """Pass a refusal on, unless too many wait already."""
        with suppress(OSError):
            self._sender.send(json.dumps(refusal.fields()).encode())

    def close(self) -> None:
        """Close both ends."""
        self._receiver.close()
        self._sender.close()

    def fileno(self) -> int:
        """Return the file descriptor that can be read when a refusal has come."""
        return self._receiver.fileno()

    def receive(self) -> Iterator[Refusal]:
        """Yield the refusals that have come."""
        with suppress(BlockingIOError):
            while True:
                yield Refusal(**json.loads(self._receiver.recv(_MAX_BYTES)))
