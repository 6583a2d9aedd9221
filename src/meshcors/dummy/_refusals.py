"""Answers that were no good news: a log line for each, as far as it goes, and the last few kept.

Whatever is remembered of a request is cut to a length; of its header values only those are read
that say what was asked for, never the key's, whatever header the key is in.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Final

from meshcors.asgi import Scope
from meshcors.dummy._counters import LEFT_OUT
from meshcors.dummy._logs import log

# Of one value of a request.
MAX_TEXT: Final = 256
# How many are kept for people to look at.
KEPT: Final = 50
# Lines a second in the long run, and at once.
RATE: Final = 10.0
BURST: Final = 50.0

_FIELDS: Final = {
    b"origin": "origin",
    b"host": "host",
    b"access-control-request-method": "requested_method",
    b"access-control-request-headers": "requested_headers",
    b"x-request-id": "request_id",
    b"traceparent": "traceparent",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is remembered of a request and its answer; a field that was not sent is empty."""

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
    def of(cls, scope: Scope, status: int, reason: str, hidden: frozenset[bytes]) -> Refusal:
        """Read what is remembered of a request from its ASGI scope, save for `hidden` headers."""
        texts: dict[str, str] = {}
        for name, value in scope["headers"]:
            field = None if name in hidden else _FIELDS.get(name)
            if field is not None and len(texts.get(field, "")) < MAX_TEXT:
                joined = f"{texts[field]}," if field in texts else ""
                texts[field] = (joined + value[:MAX_TEXT].decode("latin-1"))[:MAX_TEXT]
        method, path = scope["method"][:MAX_TEXT], scope["path"][:MAX_TEXT]
        return cls(status, reason, method, path, **texts)

    def fields(self) -> dict[str, object]:
        """Return what there is of it, by name."""
        return {name: value for name, value in asdict(self).items() if value != ""}


class Refusals:
    """Keeps and logs refusals, at most `RATE` a second; those left out are counted.

    The values of headers that `hide` was told of are neither kept nor logged.

    `last` are the kept ones, the newest last. `pass_on` is told of each that is kept: a worker
    process has nobody to show them to.
    """

    def __init__(
        self,
        numbers: memoryview,
        pass_on: Callable[[Refusal], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.last: deque[Refusal] = deque(maxlen=KEPT)
        self._numbers = numbers
        self._pass_on = pass_on
        self._clock = clock
        self._allowance = BURST
        self._counted_at = clock()
        self._left_out = 0
        self._hidden: frozenset[bytes] = frozenset()

    def hide(self, names: Iterable[str]) -> None:
        """Hide the values of these headers, for ever: clients may go on sending an old key's."""
        self._hidden |= _FIELDS.keys() & {name.encode() for name in names}

    def __call__(self, scope: Scope, status: int, reason: str) -> None:
        """Take note of an answer."""
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._counted_at) * RATE)
        self._counted_at = now
        if self._allowance < 1:
            self._left_out += 1
            self._numbers[LEFT_OUT] += 1
            return
        self._allowance -= 1
        refusal = Refusal.of(scope, status, reason, self._hidden)
        self.last.append(refusal)
        if self._pass_on is not None:
            self._pass_on(refusal)
        self.say_left_out()
        log(logging.WARNING, "refused", **refusal.fields())

    def say_left_out(self) -> None:
        """Log how many refusals have had no line since the last one that had."""
        if self._left_out:
            log(logging.WARNING, "refusals left out of the log", count=self._left_out)
            self._left_out = 0

    def log_access(self, scope: Scope, status: int, reason: str) -> None:
        """Log an answer of any kind, as ``--access-log`` asks for."""
        log(logging.INFO, "answered", **Refusal.of(scope, status, reason, self._hidden).fields())
