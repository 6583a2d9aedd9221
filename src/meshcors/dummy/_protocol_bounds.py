"""What both of the pod's protocols add to uvicorn's: bounds on what a connection may send.

Neither parser bounds what may follow a head: chunk extensions, trailers, a flood of tiny chunks,
empty lines. Here it is counted, for both parsers alike: all bytes since the last head, less those
of the body. The body itself is discarded as it arrives. A field line takes many times its bytes in
memory, so their number is bounded too.

uvicorn makes objects of all requests that have arrived, answered or not. Here only a few requests
are parsed ahead of their answers; the rest stay bytes in a queue.

This builds on uvicorn's protocols, of which these parts are not public: ``scope``, ``cycle``,
``flow``, ``connections`` and ``send_400_response``. tests/test_hooks.py fails when one is gone.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

MAX_HEAD_BYTES: Final = 64 * 1024
# Of a head and its trailers together. Browsers send about 20; Envoy lets 100 pass by default, and
# adds a few of its own.
MAX_FIELD_LINES: Final = 128
# Bytes that the parser is given at once: a request is much larger in memory than on the wire.
_SLICE: Final = 4 * 1024
# For so many bytes of body, one byte of overhead is allowed without being counted: browsers and
# gateways may go on sending small chunks.
_BODY_BYTES: Final = 16
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(asyncio.Protocol):
    """A mixin before one of uvicorn's protocols; `scope` and `cycle` are its request and answer."""

    transport: Any
    flow: Any
    loop: Any
    connections: Any
    scope: Any
    cycle: Any

    # The request whose bytes are counted. Its first two slices are not: a part of them may belong
    # to the request before.
    _counted: object = None
    _overhead = 0
    # Increased by the protocol for every part of a body.
    body_bytes = 0
    # Set by the protocol before it raises: the head is not malformed, but too large.
    too_large = False
    # Received bytes that the parser has not been given yet.
    _held = b""

    def data_received(self, data: bytes) -> None:
        """Parse `data`, or hold it; a request beyond its bounds is answered 431, or cut off."""
        if len(data) <= _SLICE and not self._held and not self.is_behind():
            self._parse(data)
        else:
            self._held += data
            self._give()

    def is_behind(self) -> bool:
        """Tell whether parsed requests wait for the answer to an earlier one."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Continue when no request waits any more: with held bytes first, then with new ones."""
        if self.is_behind():
            return
        if self._held:
            # Later, because the parser may be the caller.
            self.loop.call_soon(self._read_on)
        else:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request and close: 431 if too large, no answer where one has begun already."""
        if not self.may_refuse():
            self.transport.close()
        elif self.too_large:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        else:
            super().send_400_response(msg)  # type: ignore[misc]  # of uvicorn's protocol

    def may_refuse(self) -> bool:
        """Tell whether the request being read is the next to be answered, and not yet begun."""
        raise NotImplementedError

    def _give(self) -> None:
        held, self._held = self._held, b""
        for start in range(0, len(held), _SLICE):
            if self.transport.is_closing():
                return
            if self.is_behind():
                self._held = held[start:]
                # Both: uvicorn resumes the transport without asking its flow control.
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
