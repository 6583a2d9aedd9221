"""What both of the pod's protocols add to uvicorn's: bounds on what a connection may bring.

No parser has one for whatever may follow a head: chunk extensions, trailers, a flood of tiny
chunks, empty lines. Here it is counted, for both parsers alike, by what a connection has sent since
its last head, less what was body; the body itself is let go as it comes. A field line takes many
times its bytes in memory: their number is bounded too.

uvicorn makes objects of all requests that have come, answered or not: here only a few are ahead of
their answers. The rest is a queue of bytes, and the parser is fed from its front alone.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

MAX_HEAD_BYTES: Final = 64 * 1024
# Of a head and its trailers together. Browsers send some 20; Envoy lets 100 pass by default, and
# adds a few of its own.
MAX_FIELD_LINES: Final = 128
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
    # Set by a parser before it raises: the head is not malformed, but too large.
    too_large = False
    # What has come and is not given to the parser yet: a request waits for the answer to the one
    # before, or answers wait for a client that does not read them.
    _held = b""

    def data_received(self, data: bytes) -> None:
        """Take what has come; a request that goes beyond its bound is answered 431, or ends."""
        if len(data) <= _SLICE and not self._held and not self.is_behind():
            self._parse(data)
        else:
            self._held += data
            self._give()

    def is_behind(self) -> bool:
        """Tell whether requests have come that wait for the answer to one before."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Read on, if no request waits any more; first what is here already."""
        if self.is_behind():
            return
        if self._held:
            # Not from here: it may be the parser that calls.
            self.loop.call_soon(self._read_on)
        else:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request and close; 431 if it is too large, and no answer where one has begun."""
        if not self.may_refuse():
            self.transport.close()
        elif self.too_large:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        else:
            super().send_400_response(msg)  # type: ignore[misc]

    def may_refuse(self) -> bool:
        """Tell whether the answer to what is being read is the next, and has not begun."""
        raise NotImplementedError

    def _give(self) -> None:
        held, self._held = self._held, b""
        for start in range(0, len(held), _SLICE):
            if self.transport.is_closing():
                return
            if self.is_behind():
                self._held = held[start:]
                # uvicorn resumes the transport past its flow control: its flag is not enough.
                self.flow.read_paused = True
                self.transport.pause_reading()
                return
            self._parse(held[start : start + _SLICE])

    def _read_on(self) -> None:
        self._give()
        if not self._held and not self.is_behind() and not self.transport.is_closing():
            self.flow.resume_reading()

    def _parse(self, data: bytes) -> None:
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
            self.too_large = True
            self.send_400_response("")
            self.transport.close()
