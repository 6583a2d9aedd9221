"""What both of the pod's protocols add to uvicorn's: bounds on what a connection may bring.

No parser has one for whatever may follow a head: chunk extensions, trailers, a flood of tiny
chunks, empty lines. Here it is counted, for both parsers alike, by what a connection has sent since
its last head, less what was body; the body itself is let go as it comes. And uvicorn makes objects
of all requests that have come, answered or not: here only a few are ahead of their answers.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

MAX_HEAD_BYTES: Final = 64 * 1024
# What a parser is given at once. A request is much larger in memory than on the wire.
_SLICE: Final = 4 * 1024
# For each so many bytes of body one more that is none: chunks may be as small as browsers and
# gateways make them, on and on.
_BODY_BYTES: Final = 16
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Bounded(asyncio.Protocol):
    """Stands before one of uvicorn's protocols; `scope` and `cycle` are its request and answer."""

    transport: Any
    flow: Any
    loop: Any
    connections: Any
    scope: Any
    cycle: Any

    # The request whose bytes are counted: all but its first two slices, which may be another's.
    _counted: object = None
    _overhead = 0
    # To be added to wherever a parser finds some body.
    body_bytes = 0
    # What has come and is not given to the parser yet: answers wait for a client that does not
    # read them.
    _held = b""

    def data_received(self, data: bytes) -> None:
        """Take what has come; a request that goes beyond its bound is answered 431, or ends."""
        if len(data) > _SLICE:
            for start in range(0, len(data), _SLICE):
                if self.transport.is_closing():
                    return
                if self.is_behind():
                    self._held = data[start:]
                    return
                self.data_received(data[start : start + _SLICE])
            return
        scope = self.scope
        super().data_received(data)
        if self.scope is not scope:
            return
        if self._counted is not scope:
            self._counted = scope
            self._overhead = self.body_bytes = 0
            return
        body, self.body_bytes = self.body_bytes, 0
        self._overhead = max(0, self._overhead + len(data) - body - body // _BODY_BYTES)
        if self._overhead > MAX_HEAD_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.scope is not scope:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def is_behind(self) -> bool:
        """Tell whether requests have come that wait for the answer to one before."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Read on, now that no request waits; first what is here already."""
        if self._held:
            self.flow.pause_reading()
            # Not from here: it may be the parser that calls.
            self.loop.call_soon(self._give)
        else:
            self.flow.resume_reading()

    def _give(self) -> None:
        held, self._held = self._held, b""
        if self.transport.is_closing():
            return
        self.data_received(held)
        if not self._held and not self.is_behind():
            self.flow.resume_reading()
