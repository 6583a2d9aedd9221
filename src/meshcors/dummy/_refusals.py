"""Refused requests: a log line for each, up to a rate, and the last kinds for the admin page.

What is kept of a request is cut to a length. Of its header values only those are read that say what
was asked for; the key's value is never read, whatever header carries it.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from time import monotonic, time
from typing import Final, TypeAlias

from meshcors._decision.observation import MAX_TEXT
from meshcors.dummy._counters import HIDDEN, LEFT_OUT, Counters
from meshcors.dummy._logs import log
from meshcors.observers._rate import LogRate

# How many kinds of refusals are kept for the admin page.
KEPT: Final = 50
# The largest datagram: a refusal's texts are bounded, and a character is at most six in JSON.
_MAX_DATAGRAM: Final = 64 * 1024

# The request fields that are kept, and the names under which they are.
_FIELDS: Final = {
    b"origin": "origin",
    b"host": "host",
    b"access-control-request-method": "requested_method",
    b"access-control-request-headers": "requested_headers",
    b"x-request-id": "request_id",
    b"traceparent": "traceparent",
}
REFUSAL_FIELDS: Final = frozenset(_FIELDS)

# A request's method, path and fields, and the status and reason of its answer.
Answered: TypeAlias = tuple[str, str, Mapping[bytes, bytes], int, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is kept of a request and its answer; a field that was not sent is empty."""

    status: int
    reason: str
    method: str
    path: str
    host: str = ""
    origin: str = ""
    requested_method: str = ""
    requested_headers: str = ""
    request_id: str = ""
    traceparent: str = ""

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        fields: Mapping[bytes, bytes],
        status: int,
        reason: str,
        hidden: int = 0,
    ) -> Refusal:
        """Keep of a request and its answer what is not `hidden`: a bit for each of `_FIELDS`."""
        texts = {
            field: fields[name][:MAX_TEXT].decode("latin-1")
            for bit, (name, field) in enumerate(_FIELDS.items())
            if name in fields and not hidden >> bit & 1
        }
        return cls(status, reason, method[:MAX_TEXT], path[:MAX_TEXT], **texts)

    def fields(self) -> dict[str, object]:
        """Return what is not empty, by name, for a log line."""
        return {name: value for name, value in asdict(self).items() if value}


class Refusals:
    """Keeps and logs refusals, as many as a `LogRate` allows; those left out are counted.

    `kept` has how often each kind was refused and when it last was, the newest last; a kind has no
    ids. `pass_on` is called with each refusal: a worker process has no page to show them on. Values
    of the headers given to `hide`, in any process of the `counters`, are neither kept nor logged.
    """

    def __init__(
        self,
        counters: Counters,
        number: int,
        pass_on: Callable[[Refusal], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._counters = counters
        self._row = counters.row(number)
        self.kept: dict[Refusal, tuple[int, float]] = {}
        self._pass_on = pass_on
        self._rate = LogRate(clock)

    def hide(self, names: Collection[str]) -> None:
        """Hide the values of these headers for good: clients may go on sending an old key."""
        for bit, field in enumerate(_FIELDS):
            if field.decode() in names:
                self._row[HIDDEN] |= 1 << bit

    def __call__(self, *answered: *Answered) -> None:
        """Keep and log the refusal of a request, if the rate allows it."""
        if not self._rate.allows_one():
            self._row[LEFT_OUT] += 1
            return
        refusal = Refusal.of(*answered, self._counters.union(HIDDEN))
        self.keep([refusal])
        if self._pass_on is not None:
            self._pass_on(refusal)
        self.log_left_out()
        log(logging.WARNING, "refused", **refusal.fields())

    def keep(self, refusals: Iterable[Refusal]) -> None:
        """Count these; of too many kinds, the one that was refused longest ago is forgotten."""
        for refusal in refusals:
            kind = replace(refusal, request_id="", traceparent="")
            count, _ = self.kept.pop(kind, (0, 0.0))
            self.kept[kind] = (count + 1, time())
            if len(self.kept) > KEPT:
                del self.kept[next(iter(self.kept))]

    def log_left_out(self) -> None:
        """Log how many refusals have had no line since the last call, if any."""
        if count := self._rate.take_left_out():
            log(logging.WARNING, "refusals left out of the log", count=count)

    def log_access(self, *answered: *Answered) -> None:
        """Log an answer of any kind, for ``--access-log``."""
        kept = Refusal.of(*answered, self._counters.union(HIDDEN))
        log(logging.INFO, "answered", **kept.fields())


class RefusalRelay:
    """Carries refusals from the workers to the process with the admin page; it never blocks.

    A pair of datagram sockets, made before the processes are forked.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def send(self, refusal: Refusal) -> None:
        """Pass a refusal on, unless too many wait already."""
        with suppress(OSError):
            self._sender.send(json.dumps(asdict(refusal)).encode())

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
                yield Refusal(**json.loads(self._receiver.recv(_MAX_DATAGRAM)))
