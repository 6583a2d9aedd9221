"""uvicorn's h11 protocol, bounded: for a plain install, that has no httptools."""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from meshcors.dummy.bounded import MAX_HEAD_BYTES, Bounded


class PlainProtocol(Bounded, H11Protocol):
    """One connection of the pod."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = _Counting(self)

    def is_behind(self) -> bool:
        """Tell whether requests have come that wait for the answer to one before."""
        return self.conn.their_state is h11.DONE

    def on_response_complete(self) -> None:
        """Go on with the next request, if it is here already."""
        if not self.transport.is_closing():
            self.connections.move_to_end(self)
        super().on_response_complete()
        if not self.is_behind():
            self.go_on()

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed head; what is malformed after one ends with that one's answer."""
        if self.conn.our_state is h11.IDLE:
            super().send_400_response(msg)
        elif self.cycle.response_complete:
            self.transport.close()


class _Counting(h11.Connection):
    """Tells a protocol how many bytes of body come."""

    def __init__(self, protocol: Bounded) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self._protocol = protocol

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._protocol.body_bytes += len(event.data)
        return event
